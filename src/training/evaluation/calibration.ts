/** Answers of about the same confidence. */
export interface CalibrationBin {
  readonly count: number;
  /** Means over the bin. */
  readonly confidence: number;
  readonly accuracy: number;
}

/** How far confidence and accuracy agree. */
export interface Calibration {
  /** Mean distance of accuracy and confidence over bins, each by its share of answers: expected calibration error. */
  readonly error: number;
  /** Ten bins of equal width; those without answers are left out. */
  readonly bins: readonly CalibrationBin[];
}

/** One answer: how sure, and whether it was right. */
export interface Answer {
  readonly confidence: number;
  readonly isRight: boolean;
}

const binCount = 10;

/** @see Guo et al., On Calibration of Modern Neural Networks, ICML 2017, https://arxiv.org/abs/1706.04599 */
export function toCalibration(answers: readonly Answer[]): Calibration {
  const bins = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const { confidence, isRight } of answers) {
    const bin = bins[Math.min(binCount - 1, Math.floor(confidence * binCount))];
    if (bin === undefined) continue;
    bin.count++;
    bin.confidence += confidence;
    bin.right += Number(isRight);
  }
  const filled = bins
    .filter(({ count }) => count > 0)
    .map(({ count, confidence, right }) => ({ count, confidence: confidence / count, accuracy: right / count }));
  const error = filled.reduce(
    (sum, { count, confidence, accuracy }) => sum + (count * Math.abs(accuracy - confidence)) / answers.length,
    0,
  );
  return { error, bins: filled };
}

/** softmax(scale · scores) of one row. */
export function softmax(scores: Float32Array, scale: number): Float32Array {
  const highest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(scale * (score - highest)));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Scales that are tried: 1 to 1,000, each a fifth more than the one before. */
const scales = Array.from({ length: 38 }, (_, step) => 1.2 ** step);

/**
 * The scale of cosines under which softmax gives the true labels the highest likelihood: raw cosines rank, but are no
 * confidences.
 *
 * @param scores n × labels.
 */
export function fitScale(scores: Float32Array, truths: readonly (readonly number[])[]): number {
  const labels = scores.length / Math.max(1, truths.length);
  const losses = scales.map((scale) =>
    truths.reduce((sum, [truth = 0], row) => {
      const shares = softmax(scores.subarray(row * labels, (row + 1) * labels), scale);
      return sum - Math.log(Math.max(1e-12, shares[truth] as number));
    }, 0),
  );
  return scales[losses.indexOf(Math.min(...losses))] ?? 1;
}
