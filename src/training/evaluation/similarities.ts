import type { Rows } from "../../linalg/rows.js";

/**
 * Cosines between each of some rows and each of others, queries × gallery. A row of zeros is at right angles to all.
 *
 * Memory: 4 bytes per pair.
 */
export function toCosines(queries: Rows, gallery: Rows): Float32Array {
  const [a, b] = [toUnitRows(queries), toUnitRows(gallery)];
  const { width } = queries;
  const [countA, countB] = [a.length / width, b.length / width];
  const cosines = new Float32Array(countA * countB);
  for (let i = 0; i < countA; i++) {
    const row = a.subarray(i * width, (i + 1) * width);
    for (let j = 0; j < countB; j++) {
      let sum = 0;
      const at = j * width;
      for (let k = 0; k < width; k++) sum += (row[k] as number) * (b[at + k] as number);
      cosines[i * countB + j] = sum;
    }
  }
  return cosines;
}

/** Rows scaled to unit length; those of zeros stay as they are. */
export function toUnitRows({ width, values }: Rows): Float32Array {
  const units = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += width) {
    const row = values.subarray(at, at + width);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)) || 1;
    for (const [i, value] of row.entries()) units[at + i] = value / norm;
  }
  return units;
}
