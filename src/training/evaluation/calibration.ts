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
  /** Fifteen bins of equal width; those without answers are left out. */
  readonly bins: readonly CalibrationBin[];
}

/** One answer: how sure, and whether it was right. */
export interface Answer {
  readonly confidence: number;
  readonly isRight: boolean;
}

const binCount = 15;

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
