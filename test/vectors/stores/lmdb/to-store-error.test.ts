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
  ["MDB_BUSY: something else", "SOURCE_UNAVAILABLE", /something else.*check the disk/],
  ["Input/output error", "SOURCE_UNAVAILABLE", /check the disk/],
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

test("what lmdb or the system numbers is unavailable, and what neither reported is a fault of ours", (t) => {
  const numbered = [
    Object.assign(new Error("odd"), { code: -30_000 }),
    Object.assign(new Error("odd"), { code: "EBUSY" }),
    new Error("Commit failed (see commitError for details)"),
    new Error("outer", { cause: Object.assign(new Error("odd"), { code: 5 }) }),
  ];
  for (const cause of numbered) t.is(toStoreError(cause, "/store").reason, "SOURCE_UNAVAILABLE", String(cause));
  const faults = [
    new TypeError("x is not a function"),
    Object.assign(new RangeError("offset"), { code: "ERR_OUT_OF_RANGE" }),
    new Error("Tensor's size(1200) does not match data length(1024)"),
    "a text",
  ];
  for (const cause of faults) {
    const error = toStoreError(cause, "/store");
    t.is(error.reason, "INTERNAL");
    t.is(error.cause, cause);
    t.notRegex(error.message, /check the disk/);
  }
});
