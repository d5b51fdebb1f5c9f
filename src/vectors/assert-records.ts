import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { assertText, quoteText } from "./assert-text.js";
import type { Scalar } from "./filter.js";
import type { NewRecord } from "./vector-record.js";
import type { MetadataPatch } from "./vector-store.js";

/** UTF-16 units of an id at most; as UTF-8 at most three times as many bytes. */
export const maxIdUnits = 1024;
/** UTF-16 units of a field's name at most. */
export const maxFieldNameUnits = 256;
/** UTF-8 bytes of a record's metadata at most, names and texts; numbers and booleans count 8. */
export const maxMetadataBytes = 65_536;
/** UTF-8 bytes of a record's claims at most. */
export const maxClaimsBytes = 1024 ** 2;
/** Records of one call at most: they are written in one transaction. */
export const maxRecordsPerCall = 10_000;

const hashPattern = /^(?:[0-9a-f]{64})?$/;

/**
 * Asserts that records can be written to a space.
 *
 * @param width numbers per representation of the space.
 * @throws InvalidInputError `SHAPE_MISMATCH` for a vector of another width, `NON_FINITE` for NaN, infinity and zeros,
 * `FIELD_INVALID` for the rest; LimitExceededError `LIMIT_EXCEEDED`.
 */
export function assertRecords(records: readonly NewRecord[], width: number): void {
  if (records.length > maxRecordsPerCall) {
    const message = `${records.length} records at once; write at most ${maxRecordsPerCall}`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { count: records.length, limit: maxRecordsPerCall });
  }
  for (const [index, record] of records.entries()) assertRecord(record, index, width);
}

function assertRecord(record: NewRecord, index: number, width: number): void {
  assertId(record.id, `the id of record ${index}`);
  const what = `record ${index}, ${quoteText(record.id)},`;
  assertVector(record.vector, what, width, { index });
  for (const name of ["weightsHash", "fileHash"] as const) {
    if (hashPattern.test(record[name])) continue;
    throw invalid(`${what} has the ${name} ${quoteText(String(record[name]))}; it is 64 of 0-9 and a-f, or empty`);
  }
  assertText(record.tree, `the tree of ${what}`, maxIdUnits);
  assertText(record.base, `the base of ${what}`, maxIdUnits);
  assertFields(record.metadata, `the metadata of ${what}`, maxMetadataBytes);
  assertFields(record.claims, `the claims of ${what}`, maxClaimsBytes);
  for (const [name, value] of Object.entries(record.claims)) {
    if (typeof value !== "string") throw invalid(`the claim ${quoteText(name)} of ${what} is no text`);
  }
  for (const name of ["createdMs", "updatedMs"] as const) {
    const time = record[name];
    if (time === undefined || (Number.isSafeInteger(time) && time >= 0)) continue;
    throw invalid(`${what} has the ${name} ${time}; it is a whole number of milliseconds since 1970`);
  }
}

/** Asserts that a text can be a model's id. */
export function assertId(id: string, what: string): void {
  assertText(id, what, maxIdUnits);
  if (id.length === 0) throw invalid(`${what} is empty`);
}

/**
 * Asserts that a vector has a direction.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH`, `NON_FINITE`.
 */
export function assertVector(
  vector: Float32Array,
  what: string,
  width: number,
  facts: Readonly<Record<string, number>>,
): void {
  if (!(vector instanceof Float32Array) || vector.length !== width) {
    const message = `${what} has ${vector?.length} numbers; representations of the space have ${width}`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { ...facts, width });
  }
  if (!allFinite(vector)) {
    const message = `${what} has a number that is NaN or infinite; compute it again`;
    throw new InvalidInputError("NON_FINITE", message, facts);
  }
  if (vector.some((value) => value !== 0)) return;
  const message = `${what} is all zeros, which has no direction to compare; compute it again`;
  throw new InvalidInputError("NON_FINITE", message, facts);
}

/** Asserts that metadata or claims can be kept. */
export function assertFields(fields: Readonly<Record<string, Scalar | null>>, what: string, maxBytes: number): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(fields)) {
    assertText(name, `a field's name in ${what}`, maxFieldNameUnits);
    if (name.length === 0) throw invalid(`a field's name in ${what} is empty`);
    const field = `the field ${quoteText(name)} in ${what}`;
    if (typeof value === "string") assertText(value, field, maxBytes);
    else if (typeof value === "number" ? !Number.isFinite(value) : typeof value !== "boolean" && value !== null) {
      throw invalid(`${field} is ${String(value)}; it takes a text, a finite number or a boolean`);
    }
    bytes += Buffer.byteLength(name) + (typeof value === "string" ? Buffer.byteLength(value) : 8);
  }
  if (bytes <= maxBytes) return;
  const message = `${what} takes ${bytes} bytes; at most ${maxBytes} are kept: leave out what need not be searched`;
  throw new LimitExceededError("LIMIT_EXCEEDED", message, { bytes, limit: maxBytes });
}

/** Asserts that a change of metadata means something. */
export function assertPatch(id: string, patch: MetadataPatch): void {
  assertId(id, "the id of the model");
  assertFields(patch, `the change of ${quoteText(id)}`, maxMetadataBytes);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", message);
}
