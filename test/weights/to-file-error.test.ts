import test from "ava";
import { AccessDeniedError, NotFoundError, UnavailableError } from "../../src/errors/probestream-error.js";
import { toFileError } from "../../src/weights/to-file-error.js";

const meanings = [
  ["ENOENT", NotFoundError, "FILE_NOT_FOUND"],
  ["EACCES", AccessDeniedError, "ACCESS_DENIED"],
  ["EPERM", AccessDeniedError, "ACCESS_DENIED"],
  ["EIO", UnavailableError, "SOURCE_UNAVAILABLE"],
] as const;

for (const [code, type, reason] of meanings) {
  test(`${code} of the file system means ${reason}`, (t) => {
    const cause = Object.assign(new Error("system"), { code });
    const error = toFileError(cause, "m.safetensors");
    t.true(error instanceof type);
    t.is(error.reason, reason);
    t.is(error.cause, cause);
    t.regex(error.message, /"m\.safetensors"/);
  });
}
