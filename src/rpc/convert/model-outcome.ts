import { AbortedError, type ProbestreamError } from "../../errors/probestream-error.js";
import type { ModelResult } from "../../gen/probestream/v1/embedding_service_pb.js";
import type { PortResult } from "../../search/embed-port.js";
import { fromModelEmbedding } from "./embedding.js";
import { fromModelError } from "./error.js";

/** What became of one model, from the wire. */
export function fromModelOutcome({ outcome }: ModelResult): PortResult | ProbestreamError {
  if (outcome.case === "embedding") return fromModelEmbedding(outcome.value);
  if (outcome.case === "error") return fromModelError(outcome.value);
  return new AbortedError("FOOTER_MISSING", "the server answered without a result");
}
