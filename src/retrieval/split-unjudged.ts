import type { UnjudgedLabel } from "./retrieval-port.js";

/** Labels that had no say, by why: those of no known word, and those beyond the expert's radius, which their errors name. */
export function splitUnjudged(unjudged: readonly UnjudgedLabel[]): {
  readonly unknown: readonly UnjudgedLabel[];
  readonly far: readonly UnjudgedLabel[];
} {
  const isFar = ({ error }: UnjudgedLabel): boolean => "radius" in error.facts;
  return { unknown: unjudged.filter((one) => !isFar(one)), far: unjudged.filter(isFar) };
}
