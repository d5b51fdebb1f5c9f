import type { Pooling } from "./encoder-settings.js";
import type { PaddedTokens } from "./token-batches.js";

/**
 * Makes a vector per text of those of its tokens; what fills up does not count.
 *
 * Shapes: `values` is texts × tokens × width, row-major, the result texts × width. Memory: the result, and 8·width bytes,
 * for means are summed in float64.
 *
 * @param endId the end-of-text token, whose first place counts for the pooling `end`; the last of the text's tokens
 * where it is absent, or not among them.
 */
export function poolTokens(
  values: Float32Array,
  { ids, mask, rows, length }: PaddedTokens,
  pooling: Pooling,
  endId?: number,
): Float32Array {
  const width = values.length / (rows * length);
  const pooled = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const own = mask.subarray(row * length, (row + 1) * length);
    const begin = Math.max(0, own.indexOf(1));
    const last = Math.max(0, own.lastIndexOf(1));
    const vectors = values.subarray(row * length * width, (row + 1) * length * width);
    const target = pooled.subarray(row * width, (row + 1) * width);
    if (pooling === "mean") {
      target.set(toMean(vectors, begin, last + 1, width));
    } else {
      const end =
        pooling === "end" && endId !== undefined ? ids.indexOf(endId, row * length + begin) - row * length : -1;
      const at = pooling === "cls" ? begin : end >= begin && end <= last ? end : last;
      target.set(vectors.subarray(at * width, (at + 1) * width));
    }
  }
  return pooled;
}

function toMean(vectors: Float32Array, begin: number, end: number, width: number): Float64Array {
  const mean = new Float64Array(width);
  for (let token = begin; token < end; token++) {
    const at = token * width;
    for (let column = 0; column < width; column++) {
      mean[column] = (mean[column] as number) + (vectors[at + column] as number);
    }
  }
  for (let column = 0; column < width; column++) mean[column] = (mean[column] as number) / (end - begin);
  return mean;
}
