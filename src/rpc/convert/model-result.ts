import { create } from "@bufbuild/protobuf";
import { toProbestreamError } from "../../errors/plain-error.js";
import { type ModelResult, ModelResultSchema } from "../../gen/probestream/v1/embedding_service_pb.js";
import type { ModelOutcome } from "../../search/embed-stream.js";
import { type ReportFault, toCode, toPublicError } from "../to-status.js";
import { toModelEmbedding } from "./embedding.js";
import { toModelError } from "./error.js";

/** What became of one model, for the wire; faults of the server go to its log. */
export function toModelResult({ modelId, uploadId, outcome }: ModelOutcome, report: ReportFault): ModelResult {
  if (!(outcome instanceof Error)) {
    const value = toModelEmbedding(outcome);
    return create(ModelResultSchema, { modelId, uploadId, outcome: { case: "embedding", value } });
  }
  const shown = toPublicError(toProbestreamError(outcome), report);
  const value = toModelError(shown, toCode(shown));
  return create(ModelResultSchema, { modelId, uploadId, outcome: { case: "error", value } });
}
