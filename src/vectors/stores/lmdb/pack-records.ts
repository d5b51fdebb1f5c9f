import type { NewRecord } from "../../vector-record.js";
import type { PackedRecords } from "./messages.js";

/** Records for the way between threads: a copy, so that the caller may go on with its own. */
export function packRecords(records: readonly NewRecord[]): PackedRecords {
  const lengths = records.map(({ vector }) => vector.length);
  const vectors = new Float32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  const rows = records.map(({ vector, ...row }) => {
    vectors.set(vector, at);
    at += vector.length;
    return row;
  });
  return { rows, lengths, vectors };
}

/** Records that came between threads; their representations are views. */
export function unpackRecords({ rows, lengths, vectors }: PackedRecords): NewRecord[] {
  let at = 0;
  return rows.map((row, index) => {
    const begin = at;
    at += lengths[index] ?? 0;
    return { ...row, vector: vectors.subarray(begin, at) };
  });
}
