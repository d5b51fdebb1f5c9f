/** Index of the highest score of each row; of equal ones the first. */
export function toBestLabels(scores: Float32Array, labels: number): Uint32Array {
  const best = new Uint32Array(scores.length / labels);
  for (let row = 0; row < best.length; row++) {
    for (let label = 1; label < labels; label++) {
      const highest = scores[row * labels + (best[row] as number)] as number;
      if ((scores[row * labels + label] as number) > highest) best[row] = label;
    }
  }
  return best;
}

/**
 * Share of models whose highest score is that of one of their labels: top-1 accuracy.
 *
 * @param scores n × labels.
 * @param truths the labels of each model.
 */
export function toTopAccuracy(scores: Float32Array, truths: readonly (readonly number[])[]): number {
  if (truths.length === 0) return Number.NaN;
  const best = toBestLabels(scores, scores.length / truths.length);
  return truths.filter((labels, row) => labels.includes(best[row] ?? -1)).length / truths.length;
}

/**
 * Share of right answers over models and labels, a label being told where its logit is above 0 (a probability of 0.5):
 * mean label accuracy.
 */
export function toLabelAccuracy(logits: Float32Array, truths: readonly (readonly number[])[]): number {
  if (truths.length === 0) return Number.NaN;
  const labels = logits.length / truths.length;
  let right = 0;
  for (const [row, truth] of truths.entries()) {
    for (let label = 0; label < labels; label++) {
      if ((logits[row * labels + label] as number) > 0 === truth.includes(label)) right++;
    }
  }
  return right / logits.length;
}
