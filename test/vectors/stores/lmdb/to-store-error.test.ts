import test from "ava";
import { InvalidInputError } from "../../../../src/errors/probestream-error.js";
import { toStoreError } from "../../../../src/vectors/stores/lmdb/to-store-error.js";

const meanings = [
  [
    "MDB_MAP_FULL: Environment mapsize limit reached",
    "LIMIT_EXCEEDED",
    /no room left .* nothing of this call was written/,
  ],
  ["No space left on device", "LIMIT_EXCEEDED", /no room left/],
  ["EACCES: permission denied, mkdir '/x'", "ACCESS_DENIED", /may not be written/],
  ["Read-only file system", "ACCESS_DENIED", /may not be written/],
  ["MDB_INVALID: File is not an LMDB file", "FORMAT_REFUSED", /no folder of a catalogue/],
  ["MDB_CORRUPTED: Located page was wrong type", "CORRUPT", /put a snapshot in its place/],
  ["MDB_READERS_FULL: Environment maxreaders limit reached", "SOURCE_UNAVAILABLE", /too many processes/],
  ["something else", "SOURCE_UNAVAILABLE", /something else/],
] as const;

test("what lmdb says becomes what a caller can do", (t) => {
  for (const [text, reason, message] of meanings) {
    const error = toStoreError(new Error(text), "/store");
    t.is(error.reason, reason);
    t.regex(error.message, message);
    t.regex(error.message, /\/store/);
    t.deepEqual(error.cause, new Error(text));
  }
  const inner = new Error("commit failed", { cause: new Error("ENOSPC") });
  t.is(toStoreError(inner, "/store").reason, "LIMIT_EXCEEDED");
  const ours = new InvalidInputError("FIELD_INVALID", "ours");
  t.is(toStoreError(ours, "/store"), ours);
});
