import { softmax } from "../linalg/softmax.js";

/** Scales that are looked at, as logarithms: 0.01 to 1,000. Cosines take 9 to 66 as measured, logits about 1. */
const [least, most] = [Math.log(0.01), Math.log(1000)];
const golden = (Math.sqrt(5) - 1) / 2;
/** Steps of the search; each leaves 62 % of the range: to a thousandth in the end. */
const steps = 20;

/**
 * The scale under which softmax gives the true labels the highest likelihood: raw cosines rank, but are no confidences.
 * The loss has one minimum, which is found by golden section.
 *
 * @param scores n × labels.
 * @param truths the labels of each row, of which the first counts.
 * @see Guo et al., On Calibration of Modern Neural Networks, ICML 2017, https://arxiv.org/abs/1706.04599
 */
export function fitScale(scores: Float32Array, truths: readonly (readonly number[])[]): number {
  const labels = scores.length / Math.max(1, truths.length);
  const lossOf = (logarithm: number): number =>
    truths.reduce((sum, [truth = 0], row) => {
      const shares = softmax(scores.subarray(row * labels, (row + 1) * labels), Math.exp(logarithm));
      return sum - Math.log(Math.max(1e-12, shares[truth] as number));
    }, 0);
  let [low, high] = [least, most];
  let [left, right] = [high - golden * (high - low), low + golden * (high - low)];
  let [leftLoss, rightLoss] = [lossOf(left), lossOf(right)];
  for (let step = 0; step < steps; step++) {
    if (leftLoss <= rightLoss) {
      [high, right, rightLoss] = [right, left, leftLoss];
      left = high - golden * (high - low);
      leftLoss = lossOf(left);
    } else {
      [low, left, leftLoss] = [left, right, rightLoss];
      right = low + golden * (high - low);
      rightLoss = lossOf(right);
    }
  }
  return Math.exp((low + high) / 2);
}
