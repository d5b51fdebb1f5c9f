import type { Rows } from "../../linalg/rows.js";
import { toUnitRows } from "../../linalg/unit.js";

/**
 * Cosines between each of some rows and each of others, queries × gallery. A row of zeros is at right angles to all.
 *
 * Memory: 4 bytes per pair.
 */
export function toCosines(queries: Rows, gallery: Rows): Float32Array {
  const [a, b] = [toUnitRows(queries).values, toUnitRows(gallery).values];
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
