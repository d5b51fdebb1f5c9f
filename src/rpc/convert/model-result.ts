import { create } from "@bufbuild/protobuf";
import { type ModelResult, ModelResultSchema } from "../../gen/probestream/v1/embedding_service_pb.js";
import type { ModelOutcome } from "../../search/embed-stream.js";
import { type ReportFault, toPublicModelError } from "../to-status.js";
import { toModelEmbedding } from "./embedding.js";

/** What became of one model, for the wire; faults of the server go to its log. */
export function toModelResult({ modelId, uploadId, outcome }: ModelOutcome, report: ReportFault): ModelResult {
  if (!(outcome instanceof Error)) {
    const value = toModelEmbedding(outcome);
    return create(ModelResultSchema, { modelId, uploadId, outcome: { case: "embedding", value } });
  }
  const value = toPublicModelError(outcome, report);
  return create(ModelResultSchema, { modelId, uploadId, outcome: { case: "error", value } });
}
