import { InvalidInputError } from "../errors/probestream-error.js";
import { dot } from "../linalg/dot.js";
import { lengthOf, toUnit } from "../linalg/unit.js";

/** Share of the mean of negative examples that is taken from a query. */
const negativeShare = 0.5;

/**
 * One query out of examples: the mean of the positives, each at unit length, brought to unit length, less half of the mean of
 * the negatives, each at unit length; all at unit length.
 *
 * @param positives one at least, all of one width.
 * @throws InvalidInputError `FIELD_INVALID` if they cancel out.
 */
export function toQueryVector(positives: readonly Float32Array[], negatives: readonly Float32Array[]): Float32Array {
  const wanted = toUnit(meanOfUnits(positives));
  if (negatives.length > 0) {
    const unwanted = meanOfUnits(negatives);
    for (let i = 0; i < wanted.length; i++) {
      wanted[i] = (wanted[i] as number) - negativeShare * (unwanted[i] as number);
    }
  }
  const query = toUnit(wanted);
  // What is left of numbers that cancel out is rounding.
  if (dot(wanted, wanted) > 1e-12) return query;
  throw new InvalidInputError(
    "FIELD_INVALID",
    "the examples of the query cancel each other out: nothing is left to search for; give others",
  );
}

function meanOfUnits(vectors: readonly Float32Array[]): Float32Array {
  if (vectors.length === 1 && vectors[0] !== undefined) return toUnit(vectors[0]);
  const sums = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    const norm = lengthOf(vector);
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (vector[i] as number) / norm;
  }
  const mean = new Float32Array(sums.length);
  for (let i = 0; i < mean.length; i++) mean[i] = (sums[i] as number) / vectors.length;
  return mean;
}
