import { dot } from "../linalg/dot.js";
import { fitLogistic } from "../linalg/fit-logistic.js";
import type { Rows } from "../linalg/rows.js";
import { toQueryBackground } from "./score-calibration-background.js";
import type { ScoreScale } from "./score-calibration-model.js";

/** Queries and models, and which of them match. */
export interface ScorePairs {
  /** At unit length. */
  readonly queries: Rows;
  /** At unit length. */
  readonly models: Rows;
  /** Whether the model is what the query means; undefined where the pair says nothing. */
  readonly isMatch: (query: number, model: number) => boolean | undefined;
}

/** Pairs that do not match and are kept at most; each then stands for several. */
const mostMisses = 400_000;
/** Slope of a scale whose cosines say nothing: they still order. */
const leastSlope = 1e-3;

/**
 * Fits a scale of cosines: a logistic regression on how many deviations a cosine lies above the query's background, and on
 * the cosine itself. A feature along which matches fall is left out, so that scores rise with the cosine.
 *
 * @param background of the expert, at unit length.
 * @returns undefined if no pair matches, or all do.
 */
export function fitScoreScale({ queries, models, isMatch }: ScorePairs, background: Rows): ScoreScale | undefined {
  const { width } = queries;
  const [queryCount, modelCount] = [queries.values.length / width, models.values.length / width];
  const stride = Math.max(1, Math.ceil((queryCount * modelCount) / mostMisses));
  const [zs, cosines, truths, weights]: [number[], number[], number[], number[]] = [[], [], [], []];
  let pair = 0;
  for (let query = 0; query < queryCount; query++) {
    const vector = queries.values.subarray(query * width, (query + 1) * width);
    const { mean, deviation } = toQueryBackground(vector, background);
    for (let model = 0; model < modelCount; model++) {
      const match = isMatch(query, model);
      if (match === undefined || (!match && pair++ % stride !== 0)) continue;
      const cosine = dot(vector, models.values, model * width);
      zs.push((cosine - mean) / deviation);
      cosines.push(cosine);
      truths.push(Number(match));
      weights.push(match ? 1 : stride);
    }
  }
  const matches = truths.reduce((sum, truth) => sum + truth, 0);
  if (matches === 0 || matches === truths.length) return undefined;
  const regress = (...features: readonly (readonly number[])[]) =>
    fitLogistic({
      features: features.map((values) => Float64Array.from(values)),
      truths: Uint8Array.from(truths),
      ...(stride > 1 && { weights: Float64Array.from(weights) }),
    });
  const both = regress(zs, cosines);
  const [z = 0, cosine = 0] = both.slopes;
  if (z > 0 && cosine > 0) return { z, cosine, offset: both.offset };
  const [byZ, byCosine] = [regress(zs), regress(cosines)];
  const [slopeOfZ = 0, slopeOfCosine = 0] = [byZ.slopes[0], byCosine.slopes[0]];
  if (slopeOfCosine > 0 && (byCosine.loss <= byZ.loss || slopeOfZ <= 0)) {
    return { z: 0, cosine: slopeOfCosine, offset: byCosine.offset };
  }
  if (slopeOfZ > 0) return { z: slopeOfZ, cosine: 0, offset: byZ.offset };
  return { z: leastSlope, cosine: 0, offset: regress().offset };
}
