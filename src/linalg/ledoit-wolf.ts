import { factorise, solveLower } from "./cholesky.js";
import type { Rows } from "./rows.js";

/** A Gaussian that was fitted to some rows. */
export interface Gaussian {
  readonly mean: Float64Array;
  /** Lower triangle L of the covariance L·Lᵀ, width × width, row-major. */
  readonly lower: Float64Array;
}

/** A Gaussian with the shrinkage that its covariance took: the share of the scaled identity, 0 to 1. */
export interface ShrunkGaussian extends Gaussian {
  readonly shrinkage: number;
}

/**
 * Fits mean and covariance with the shrinkage of Ledoit and Wolf, which needs no more rows than two: the covariance is
 * (1 − δ)·S + δ·μ·I, with S the sample covariance (divided by n), μ the mean of its diagonal, and δ estimated.
 *
 * Memory: 24 bytes per pair of columns.
 *
 * @see Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, J. Multivariate Analysis
 * 88 (2004), lemma 3.2 to theorem 3.2
 */
export function fitLedoitWolf({ width, values }: Rows): ShrunkGaussian {
  const n = values.length / width;
  const mean = new Float64Array(width);
  for (const [i, value] of values.entries()) mean[i % width] = (mean[i % width] as number) + value / n;
  const centred = Float64Array.from(values, (value, i) => value - (mean[i % width] as number));
  const covariance = new Float64Array(width * width);
  const squared = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    const x = centred.subarray(row * width, (row + 1) * width);
    for (let i = 0; i < width; i++) {
      const xi = (x[i] as number) / n;
      for (let j = 0; j <= i; j++)
        covariance[i * width + j] = (covariance[i * width + j] as number) + xi * (x[j] as number);
    }
    squared[row] = x.reduce((sum, value) => sum + value * value, 0);
  }
  let [trace, norm] = [0, 0];
  for (let i = 0; i < width; i++) {
    trace += covariance[i * width + i] as number;
    for (let j = 0; j <= i; j++) norm += (i === j ? 1 : 2) * (covariance[i * width + j] as number) ** 2;
  }
  const mu = trace / width;
  // ‖S − μI‖² and the mean ‖xxᵀ − S‖² / n, of which the smaller counts.
  const spread = norm - width * mu ** 2;
  const error = (squared.reduce((sum, square) => sum + square ** 2, 0) / n - norm) / n;
  const shrinkage = spread <= 0 ? 1 : Math.min(1, Math.max(0, error / spread));
  const shrunk = covariance.map((value) => (1 - shrinkage) * value);
  // Rows that are all equal have no covariance: any distance from them is far.
  const ridge = shrinkage * mu || Number.EPSILON;
  for (let i = 0; i < width; i++) shrunk[i * width + i] = (shrunk[i * width + i] as number) + ridge;
  return { mean, lower: factorise(shrunk, width), shrinkage };
}

/** Squared Mahalanobis distance of each row from the mean. */
export function toMahalanobis({ mean, lower }: Gaussian, { width, values }: Rows): Float32Array {
  const count = values.length / width;
  // One column per row, so that all are solved at once.
  const sides = new Float64Array(width * count);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < width; i++) {
      sides[i * count + row] = (values[row * width + i] as number) - (mean[i] as number);
    }
  }
  solveLower(lower, width, sides, count);
  const distances = new Float64Array(count);
  for (const [at, value] of sides.entries()) {
    distances[at % count] = (distances[at % count] as number) + value * value;
  }
  return Float32Array.from(distances);
}
