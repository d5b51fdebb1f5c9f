import { create } from "@bufbuild/protobuf";
import type { ErrorReason as DomainReason } from "../../errors/error-reason.js";
import { fromPlainError } from "../../errors/plain-error.js";
import type { ErrorFacts, ProbestreamError } from "../../errors/probestream-error.js";
import { ErrorReason } from "../../gen/probestream/v1/error_reason_pb.js";
import { type ModelError, ModelErrorSchema } from "../../gen/probestream/v1/types_pb.js";
import { toCode, toKind } from "../status-codes.js";

/** Facts of an error as texts, as maps on the wire want them. */
export function toFactTexts(facts: ErrorFacts): Record<string, string> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)]));
}

/** A reason by name; names that this version does not know count as internal. */
export function toReason(name: string): DomainReason {
  return isReason(name) ? name : "INTERNAL";
}

function isReason(name: string): name is DomainReason {
  return name !== "UNSPECIFIED" && Object.hasOwn(ErrorReason, name);
}

/** An error of one model for the wire. */
export function toModelError(error: ProbestreamError): ModelError {
  return create(ModelErrorSchema, {
    code: toCode(error),
    reason: ErrorReason[error.reason],
    message: error.message,
    metadata: toFactTexts(error.facts),
  });
}

/** An error of one model from the wire. */
export function fromModelError({
  code,
  reason,
  message,
  metadata,
}: Pick<ModelError, "code" | "reason" | "message" | "metadata">): ProbestreamError {
  return fromPlainError({ kind: toKind(code), reason: toReason(ErrorReason[reason] ?? ""), message, facts: metadata });
}
