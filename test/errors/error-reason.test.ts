import test from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { ErrorReason as WireReason } from "../../src/gen/probestream/v1/error_reason_pb.js";

// The compiler holds this table against the union; the test holds it against the contract.
const reasons = {
  FIELD_INVALID: true,
  HEADER_MALFORMED: true,
  SHAPE_MISMATCH: true,
  DTYPE_UNSUPPORTED: true,
  STREAM_ORDER: true,
  OFFSET_MISMATCH: true,
  TENSOR_OVERRUN: true,
  TENSOR_INCOMPLETE: true,
  NON_FINITE: true,
  TEXT_WIDTH_MISMATCH: true,
  FORMAT_REFUSED: true,
  DUPLICATE: true,
  DIGEST_MISMATCH: true,
  CORRUPT: true,
  EXPERT_NOT_FOUND: true,
  LAYER_NOT_FOUND: true,
  FILE_NOT_FOUND: true,
  EXPERT_AMBIGUOUS: true,
  PLAN_STALE: true,
  UPLOAD_MISMATCH: true,
  MEMORY_BUDGET: true,
  LIMIT_EXCEEDED: true,
  FOOTER_MISSING: true,
  STREAM_IDLE: true,
  UPLOAD_IN_USE: true,
  SHUTTING_DOWN: true,
  SOURCE_UNAVAILABLE: true,
  BACKEND_UNAVAILABLE: true,
  INTERNAL: true,
  ACCESS_DENIED: true,
  WORKER_LOST: true,
  NO_EXPERT: true,
  REROUTED: true,
  SPACE_NOT_FOUND: true,
  SPACE_MISMATCH: true,
  MODEL_NOT_FOUND: true,
  STORE_MISSING: true,
  TEXT_ENCODER_MISSING: true,
  TEXT_NOT_JUDGED: true,
  NOT_CALIBRATED: true,
  TOKEN_MISSING: true,
  TOKEN_INVALID: true,
} satisfies Record<ErrorReason, true>;

test("the reasons of errors are the names of the wire contract's enum", (t) => {
  const names = Object.values(WireReason).filter((name) => typeof name === "string");
  t.deepEqual(Object.keys(reasons).sort(), names.filter((name) => name !== "UNSPECIFIED").sort());
});
