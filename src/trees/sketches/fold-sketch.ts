import { SKETCH_BUCKETS } from "./sketch.js";

/**
 * Folds a sketch to at most `blocks` row blocks, each the sum of neighbours: again a sketch by the same rule, smaller and
 * less exact.
 *
 * @param values blocks × 64, row-major.
 * @returns at most blocks · 64 numbers; a copy where there is nothing to fold.
 */
export function foldSketch(values: Float64Array, blocks: number): Float64Array {
  const count = values.length / SKETCH_BUCKETS;
  if (count <= blocks) return values.slice();
  const folded = new Float64Array(blocks * SKETCH_BUCKETS);
  for (let block = 0; block < count; block++) {
    const base = Math.floor((block * blocks) / count) * SKETCH_BUCKETS;
    for (let bucket = 0; bucket < SKETCH_BUCKETS; bucket++) {
      folded[base + bucket] = (folded[base + bucket] as number) + (values[block * SKETCH_BUCKETS + bucket] as number);
    }
  }
  return folded;
}
