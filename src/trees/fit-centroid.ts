import { toReach } from "./reach.js";
import { SKETCH_BUCKETS, type SketchShape } from "./sketches/sketch.js";
import type { TreeCentroid } from "./tree.js";

/** Shares of the mean layer's length that a reach is guessed and is at most: unrelated layers lie at 1.4 of it. */
const [mostGuess, mostReach] = [0.5, 0.95];

/**
 * Fits the centroid of a tree's layers to sketches of them: the paper's nearest-centroid rule, X̂ the mean.
 *
 * @param sketches blocks × 64 each, of matrices of this shape.
 * @throws InvalidInputError `FIELD_INVALID` for fewer than two.
 * @see Horwitz et al., CVPR 2025, https://arxiv.org/abs/2410.13569, section 4
 */
export function fitCentroid(shape: SketchShape, sketches: readonly ArrayLike<number>[]): TreeCentroid {
  const count = sketches.length;
  const size = sketches[0]?.length ?? 0;
  const values = new Float64Array(size);
  for (const sketch of sketches) {
    for (let i = 0; i < size; i++) values[i] = (values[i] as number) + (sketch[i] as number) / count;
  }
  const spread = new Float64Array(size / SKETCH_BUCKETS);
  // A model's own share in the mean draws the mean towards it: without it, the distance is this much greater.
  const others = count / (count - 1);
  const distances = sketches.map((sketch) => {
    let total = 0;
    for (const [block] of spread.entries()) {
      let sum = 0;
      for (let i = block * SKETCH_BUCKETS; i < (block + 1) * SKETCH_BUCKETS; i++) {
        sum += (((sketch[i] as number) - (values[i] as number)) * others) ** 2;
      }
      spread[block] = (spread[block] as number) + sum / count;
      total += sum;
    }
    return Math.sqrt(total);
  });
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return { shape, values, spread, ...toReach(distances, { guess: mostGuess * length, limit: mostReach * length }) };
}
