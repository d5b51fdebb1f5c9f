/**
 * How many labels score higher than the best of a model's own: 0 is top-1. Of equal scores the label that comes first
 * counts as higher.
 *
 * @param scores n × labels.
 * @param truths the labels of each model.
 */
export function toRanks(scores: Float32Array, truths: readonly (readonly number[])[]): Uint32Array {
  const labels = scores.length / Math.max(1, truths.length);
  return Uint32Array.from(truths, (truth, row) => {
    const own = scores.subarray(row * labels, (row + 1) * labels);
    let least = labels;
    for (const label of truth) {
      const score = own[label] as number;
      let higher = 0;
      for (const [other, value] of own.entries()) if (value > score || (value === score && other < label)) higher++;
      least = Math.min(least, higher);
    }
    return least;
  });
}
