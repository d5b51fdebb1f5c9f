import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import test from "ava";
import { LimitExceededError, UnavailableError } from "../../src/errors/probestream-error.js";
import { fromStatus } from "../../src/rpc/from-status.js";
import { toStatus } from "../../src/rpc/to-status.js";

function serviceError(code: status, packed: Buffer): ServiceError {
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", packed);
  return Object.assign(new Error("no"), { code, details: "no", metadata });
}

test("details that nobody can read leave the status: the client goes on", (t) => {
  for (const packed of [Buffer.from([0xff, 0xff, 0xff]), Buffer.from("\u001a\u0002\n\u0009"), Buffer.alloc(0)]) {
    const error = fromStatus(serviceError(status.UNAVAILABLE, packed), "host:1");
    t.true(error instanceof UnavailableError);
    t.is(error.reason, "SOURCE_UNAVAILABLE");
    t.regex(error.message, /^the server host:1 cannot be reached: no; /);
  }
});

test("an error comes back as it was thrown", (t) => {
  const thrown = new LimitExceededError("MEMORY_BUDGET", "no room", { needed: 3 });
  const { code = status.OK, details = "", metadata = new Metadata() } = toStatus(thrown, () => t.fail());
  const error = fromStatus(Object.assign(new Error(details), { code, details, metadata }), "host:1");
  t.true(error instanceof LimitExceededError);
  t.deepEqual([error.reason, error.message, error.facts], ["MEMORY_BUDGET", "no room", { needed: "3" }]);
});
