import test from "ava";
import fc from "fast-check";
import { compareClaimNumber, parseClaimNumber } from "../../src/vectors/claim-number.js";
import { matchFilter } from "../../src/vectors/match-filter.js";
import { toRecord } from "../../src/vectors/to-record.js";
import { claimTexts, holdsForClaim, randomClaimCondition } from "../helpers/claim-oracle.js";
import { createRecord } from "../helpers/vector-records.js";

test("a claim is a number if its whole text is a decimal number", (t) => {
  for (const text of ["30", "30.0", "+30", "007", "5.", ".5", "-1e-05", "1E2", "0", "1e9999", "1".repeat(255)]) {
    t.truthy(parseClaimNumber(text), text);
  }
  for (const text of ["", " 30", "30\n", "NaN", "Infinity", "0x1e", "1_000", "1.2.3", ".", "e1", "1e", "٣٠", "30px"]) {
    t.is(parseClaimNumber(text), undefined, text);
  }
  t.is(parseClaimNumber("1".repeat(256)), undefined);
  t.is(parseClaimNumber("1e10000"), undefined);
});

test("a claim compares with a number exactly, also where a float64 would round it", (t) => {
  for (const [text, value, expected] of [
    ["30.0", 30, 0],
    ["0.1", 0.1, 0],
    ["0.1000000000000000055511151231257827", 0.1, 1],
    ["9007199254740993", 2 ** 53, 1],
    ["-9007199254740993", -(2 ** 53), -1],
    ["1e400", Number.MAX_VALUE, 1],
    ["-1e400", -Number.MAX_VALUE, -1],
    ["1e-400", 0, 1],
    ["-1e-400", 0, -1],
    ["1e-400", 5e-324, -1],
    ["-0.0", 0, 0],
    ["0e9", -0, 0],
    ["100", 99.5, 1],
    ["1e21", 1e21, 0],
  ] as const) {
    const claim = parseClaimNumber(text);
    t.is(Math.sign(claim === undefined ? Number.NaN : compareClaimNumber(claim, value)), expected, `${text}, ${value}`);
  }
});

const digits = fc.string({ unit: fc.constantFrom("0", "1", "9", ".", "e", "-", "+"), maxLength: 8 });
const claim = fc.oneof(fc.constantFrom(...claimTexts), digits, fc.double().map(String));

test("a comparison of any claim with any number holds as whole numbers of any size say", (t) => {
  fc.assert(
    fc.property(claim, randomClaimCondition("claim.n"), (n, condition) => {
      const record = toRecord(createRecord("m", 1, { claims: { n } }), undefined, 1);
      t.is(matchFilter(condition, record), holdsForClaim(condition, n));
    }),
    { numRuns: 2000 },
  );
});
