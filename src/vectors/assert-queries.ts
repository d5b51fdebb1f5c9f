import { InvalidInputError } from "../errors/probestream-error.js";
import { assertFilter } from "./assert-filter.js";
import { assertVector } from "./assert-records.js";
import { assertText } from "./assert-text.js";
import type { KnownFields } from "./field-value.js";
import type { RecordRange, VectorQueries } from "./vector-store.js";

/** Records per query at most. */
export const maxK = 10_000;

/**
 * Asserts that queries can be answered in a space, and tells how many they are.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH`, `NON_FINITE` with the fact `index` (which query), `FIELD_INVALID`;
 * LimitExceededError `LIMIT_EXCEEDED`.
 */
export function assertQueries(queries: Omit<VectorQueries, "signal">, width: number, known: KnownFields): number {
  const { vectors, k, filter, minCosine } = queries;
  if (!(vectors instanceof Float32Array) || vectors.length % width !== 0) {
    const message = `the queries have ${vectors?.length} numbers together; representations of the space have ${width} each`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { width });
  }
  if (!Number.isInteger(k) || k < 1 || k > maxK) throw invalid(`k is ${k}; it is a whole number from 1 to ${maxK}`);
  if (minCosine !== undefined && !Number.isFinite(minCosine)) throw invalid(`the least cosine is ${minCosine}`);
  const count = vectors.length / width;
  for (let index = 0; index < count; index++) {
    assertVector(vectors.subarray(index * width, (index + 1) * width), `query ${index}`, width, { index });
  }
  if (filter !== undefined) assertFilter(filter, known);
  return count;
}

/** Asserts that a listing means something. */
export function assertRange({ after, limit, filter }: RecordRange, known: KnownFields): void {
  if (!Number.isSafeInteger(limit) || limit < 1) throw invalid(`the limit is ${limit}; it is a whole number from 1`);
  if (after !== undefined) assertText(after, "the id that the listing begins after", 65_536);
  if (filter !== undefined) assertFilter(filter, known);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", message);
}
