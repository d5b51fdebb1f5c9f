import fc from "fast-check";
import type { Filter, Scalar } from "../../src/vectors/filter.js";

/** A comparison. */
export type ClaimCondition = Extract<Filter, { field: string }>;

/** Texts that are numbers, and texts that a careless store takes for some, or for none. */
export const claimTexts: readonly string[] = [
  ...["30", "30.0", "3e1", "+30", "0030", "300e-1", "49", "100", "5.", ".5", "0.5", "-0", "0", "0.000", "-1", "-.5e0"],
  ...["1E2", "1e+2", "0.1", "0.10", "0.1000000000000000055511151231257827", "9007199254740992", "9007199254740993"],
  ...["1e400", "-1e400", "1e-400", "5e-324", "1.7976931348623157e308", "1.79769313486231575e308", "1e9999", "1e-9999"],
  ...["1695000000.1234567", "1".repeat(255), "1".repeat(256), "1e10000", "1e999999999999"],
  ...["", " 30", "30 ", "30\n", "\t30", "NaN", "nan", "Infinity", "-inf", "0x1e", "0b11", "0o36", "1_000", "1,000"],
  ...["1.2.3", "--1", "+-1", "1e", "e1", ".", "+", "-", ".e1", "1e1.5", "30%", "30n", "30f", "٣٠", "３０", "½", "−1"],
  ...["many", "true", "null", "{30}", "'30'", '"30"', "[30]", "10 of 30"],
];

const numbers = fc.oneof(
  fc.constantFrom(30, 49, 100, 0, -0, -1, 0.5, -0.5, 0.1, 5, 2 ** 53, 5e-324, Number.MAX_VALUE, 1695000000.1234567),
  fc.integer({ min: -40, max: 120 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const values: fc.Arbitrary<Scalar> = fc.oneof(
  { weight: 4, arbitrary: numbers },
  { weight: 1, arbitrary: fc.constantFrom<Scalar>("30", "30.0", "many", "", true) },
);

/** Comparisons of a claim with a number, and lists with a number in them. */
export function randomClaimCondition(field: string): fc.Arbitrary<ClaimCondition> {
  return fc.oneof(
    fc.record({
      field: fc.constant(field),
      op: fc.constantFrom("eq" as const, "ne" as const, "lt" as const, "lte" as const, "gt" as const, "gte" as const),
      value: numbers,
    }),
    fc.record({
      field: fc.constant(field),
      op: fc.constant("in" as const),
      value: fc.array(values, { minLength: 1, maxLength: 20 }),
    }),
  );
}

/** Whether a comparison holds for a claim, as the contract says, computed with whole numbers of any size. */
export function holdsForClaim({ op, value }: ClaimCondition, claim: string | undefined): boolean {
  if (op === "in") {
    return value.some((one) => (typeof one === "number" ? compare(claim, one) === 0 : one === claim));
  }
  const order = compare(claim, Number(value));
  if (op === "ne") return order !== 0;
  if (order === undefined) return false;
  return { eq: order === 0, lt: order < 0, lte: order <= 0, gt: order > 0, gte: order >= 0 }[op];
}

function compare(claim: string | undefined, value: number): number | undefined {
  const [left, right] = [toParts(claim ?? ""), toParts(String(value))];
  if (left === undefined || right === undefined) return undefined;
  const shift = Math.min(left.exponent, right.exponent);
  const difference = left.whole * powerOfTen(left.exponent - shift) - right.whole * powerOfTen(right.exponent - shift);
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

/** Powers of ten by their exponents: they have up to ten thousand digits, and many comparisons need the same. */
const powers = new Map<number, bigint>();

function powerOfTen(exponent: number): bigint {
  const power = powers.get(exponent) ?? 10n ** BigInt(exponent);
  powers.set(exponent, power);
  return power;
}

/** A decimal number as whole · 10^exponent. */
function toParts(text: string): { whole: bigint; exponent: number } | undefined {
  const parts = /^(?<sign>[-+]?)(?<before>\d*)(?:\.(?<after>\d*))?(?:[eE](?<power>[-+]?\d{1,4}))?$/.exec(text)?.groups;
  const digits = `${parts?.["before"] ?? ""}${parts?.["after"] ?? ""}`;
  if (parts === undefined || digits === "" || text.length > 255) return undefined;
  const whole = BigInt(digits) * (parts["sign"] === "-" ? -1n : 1n);
  return { whole, exponent: Number(parts["power"] ?? "0") - (parts["after"] ?? "").length };
}
