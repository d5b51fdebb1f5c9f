import type { Statistic } from "./bootstrap.js";

/** Indices from the highest score down; of equal scores the first comes first. */
export function sortDown(scores: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: scores.length }, (_, index) => index);
  return order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
}

/**
 * Average precision of a ranking: over the positives, the mean share of positives among all that rank as high or higher.
 * Not defined without positives.
 *
 * @param scores one per model.
 * @param isPositive one per model.
 */
export function averagePrecision(scores: ArrayLike<number>, isPositive: readonly boolean[]): Statistic {
  const order = sortDown(scores);
  return (weights) => {
    let [sum, positives, all] = [0, 0, 0];
    for (const index of order) {
      const weight = weights[index] as number;
      all += weight;
      if (isPositive[index] !== true || weight === 0) continue;
      positives += weight;
      sum += (weight * positives) / all;
    }
    return sum / positives;
  };
}

/**
 * Area under the ROC curve: the chance that a positive scores higher than a negative, equal scores counting half. Not
 * defined unless there are both.
 */
export function areaUnderCurve(scores: ArrayLike<number>, isPositive: readonly boolean[]): Statistic {
  const order = sortDown(scores);
  return (weights) => {
    // From the highest score down: each negative loses to the positives before it.
    let [won, positives, negatives] = [0, 0, 0];
    for (let begin = 0; begin < order.length; ) {
      const score = scores[order[begin] as number];
      let [equalPositives, equalNegatives] = [0, 0];
      let end = begin;
      for (; end < order.length && scores[order[end] as number] === score; end++) {
        const index = order[end] as number;
        if (isPositive[index] === true) equalPositives += weights[index] as number;
        else equalNegatives += weights[index] as number;
      }
      won += equalNegatives * (positives + equalPositives / 2);
      positives += equalPositives;
      negatives += equalNegatives;
      begin = end;
    }
    return won / (positives * negatives);
  };
}
