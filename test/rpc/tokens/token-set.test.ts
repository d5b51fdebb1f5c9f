import { createHash } from "node:crypto";
import test from "ava";
import { createTokenSet, isAmong, toTokenDigest } from "../../../src/rpc/tokens/token-set.js";
import { assertRefused } from "../../helpers/assert-refused.js";

const tokens = ["0123456789abcdef", "fedcba9876543210", "0123456789abcdef"];

test("a set has its tokens, first and last, and nothing that is like them", (t) => {
  const set = createTokenSet(tokens);
  for (const token of tokens) t.true(set.has(token), token);
  for (const other of ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdee"]) {
    t.false(set.has(other), other);
  }
});

test("a digest is SHA-256, and a token is found by it alone", (t) => {
  const digest = toTokenDigest("0123456789abcdef");
  t.deepEqual(digest, createHash("sha256").update("0123456789abcdef").digest());
  t.true(isAmong([toTokenDigest("another"), digest], "0123456789abcdef"));
  t.false(isAmong([digest], "another"));
  t.false(isAmong([], "another"));
});

test("a set of none is refused, for it would let nobody in", async (t) => {
  await assertRefused(t, () => createTokenSet([]), { reason: "FIELD_INVALID", message: /no token/ });
});
