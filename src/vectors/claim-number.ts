/**
 * Texts of claims that are numbers: decimal digits with or without a sign, a point and an exponent, and nothing else. It
 * reads the same in JavaScript and in PostgreSQL, whose `\d` would take the digits of other scripts too.
 */
export const numberPattern = "^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,4})?$";
/** UTF-16 units of such a text at most: a longer one is no number, so that none takes long to compare. */
export const maxNumberUnits = 255;

/** A claim that is a number: sign · 0.digits · 10^point, exactly. */
export interface ClaimNumber {
  readonly sign: number;
  /** Without zeros at either end; empty for 0. */
  readonly digits: string;
  readonly point: number;
  /** The nearest float64; infinite beyond them. */
  readonly near: number;
}

const number = new RegExp(numberPattern);

/** The number that the whole text of a claim is; undefined if it is none. */
export function parseClaimNumber(text: string): ClaimNumber | undefined {
  if (text.length > maxNumberUnits || !number.test(text)) return undefined;
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace(/^[+-]/, "").split(".");
  const withoutZeros = (whole + fraction).replace(/^0+/, "");
  const digits = withoutZeros.replace(/0+$/, "");
  if (digits === "") return { sign: 0, digits, point: 0, near: 0 };
  const point = withoutZeros.length - fraction.length + Number(exponent);
  return { sign: text.startsWith("-") ? -1 : 1, digits, point, near: Number(text) };
}

/**
 * Compares a claim with a number, exactly as both are written in decimal: below 0, 0, or above 0. A claim of more digits
 * than a float64 holds is not equal to the nearest one.
 *
 * @param value finite.
 */
export function compareClaimNumber(claim: ClaimNumber, value: number): number {
  // Rounding keeps the order, so that only claims that round to the value need a look at their digits.
  if (claim.near !== value) return claim.near < value ? -1 : 1;
  const other = parseClaimNumber(String(value)) as ClaimNumber;
  if (claim.sign !== other.sign) return claim.sign - other.sign;
  const size = claim.point - other.point || compareDigits(claim.digits, other.digits);
  return claim.sign * size;
}

function compareDigits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
