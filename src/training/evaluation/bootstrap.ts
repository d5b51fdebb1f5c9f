import { Random } from "../../linalg/random.js";

/** An estimate with its 95 per cent confidence interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A figure over models of which each counts `weights[i]` times. NaN where it is not defined. */
export type Statistic = (weights: Float64Array) => number;

const mostResamples = 1000;
const fewestResamples = 100;
/** Numbers touched at most by all resamples of one figure: about a second. */
const budget = 2e8;

/**
 * A share of 1 and its confidence interval over models: percentiles of what it is for models drawn anew with replacement,
 * moved by the mean difference between these and the figure. Ranking figures need that: a model drawn twice ranks beside
 * itself, which makes every resample look better.
 *
 * @param count models.
 * @param cost numbers that the statistic touches: the more, the fewer resamples, 1,000 to 100.
 * @see Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3
 */
export function toInterval(count: number, statistic: Statistic, cost = count, seed = 0): Interval {
  const value = statistic(new Float64Array(count).fill(1));
  const resamples = Math.min(mostResamples, Math.max(fewestResamples, Math.floor(budget / Math.max(1, cost))));
  const random = new Random(seed);
  const found: number[] = [];
  for (let sample = 0; sample < resamples; sample++) {
    const weights = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const index = Math.floor(random.next() * count);
      weights[index] = (weights[index] as number) + 1;
    }
    const drawn = statistic(weights);
    if (Number.isFinite(drawn)) found.push(drawn);
  }
  found.sort((a, b) => a - b);
  const bias = found.reduce((sum, drawn) => sum + drawn, 0) / Math.max(1, found.length) - value;
  const at = (share: number): number =>
    Math.min(1, Math.max(0, (found[Math.round(share * (found.length - 1))] ?? value) - bias));
  return { value, low: at(0.025), high: at(0.975) };
}

/** Mean of one number per model, as a statistic. */
export function weightedMean(values: ArrayLike<number>): Statistic {
  return (weights) => {
    let [sum, total] = [0, 0];
    for (const [i, weight] of weights.entries()) {
      sum += weight * (values[i] as number);
      total += weight;
    }
    return sum / total;
  };
}

/** Mean of several statistics, those left out that are not defined. */
export function meanOf(statistics: readonly Statistic[]): Statistic {
  return (weights) => {
    let [sum, count] = [0, 0];
    for (const statistic of statistics) {
      const value = statistic(weights);
      if (!Number.isFinite(value)) continue;
      sum += value;
      count++;
    }
    return sum / count;
  };
}
