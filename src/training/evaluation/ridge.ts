import { InvalidInputError } from "../../errors/probestream-error.js";
import { factorise, solve } from "../../linalg/cholesky.js";

/** A linear model in closed form, known by its inner products alone. */
export interface Ridge {
  /**
   * Predicts targets, queries × width, from the queries' inner products with the models it was fitted on.
   *
   * @param gram queries × n.
   */
  predict(gram: Float64Array): Float32Array;
}

/** Models and what is to be predicted of them. */
export interface RidgeData {
  /** Inner products between the models, n × n. */
  readonly gram: Float64Array;
  /** n × width. */
  readonly targets: Float32Array;
  readonly width: number;
}

/** Weights of the penalty that are tried, as shares of the mean squared norm of a centred model. */
export const penalties = [1e-4, 1e-3, 1e-2, 1e-1, 1] as const;

/**
 * Ridge regression with an intercept, solved in the space of the models: α = (K + λ·I)⁻¹·Y with K and Y centred. As many
 * features as one likes, n³/3 multiplications.
 *
 * Memory: 24·n² bytes.
 *
 * @param penalty λ as a share of the mean diagonal of K.
 * @see Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 12.3.7
 */
export function fitRidge({ gram, targets, width }: RidgeData, penalty: number): Ridge {
  const n = Math.sqrt(gram.length);
  if (!Number.isInteger(n) || n * width !== targets.length) {
    throw new InvalidInputError("FIELD_INVALID", `${gram.length} inner products do not fit ${targets.length} targets`);
  }
  const means = new Float64Array(n);
  for (let row = 0; row < n; row++) means[row] = toMean(gram.subarray(row * n, (row + 1) * n));
  const whole = toMean(means);
  const centred = gram.map(
    (value, at) => value - (means[Math.floor(at / n)] as number) - (means[at % n] as number) + whole,
  );
  let trace = 0;
  for (let i = 0; i < n; i++) trace += centred[i * n + i] as number;
  // Models that are all the same leave nothing to learn but the mean.
  const lambda = (penalty * trace) / n || 1;
  for (let i = 0; i < n; i++) centred[i * n + i] = (centred[i * n + i] as number) + lambda;
  const targetMeans = new Float64Array(width);
  for (const [at, value] of targets.entries()) {
    targetMeans[at % width] = (targetMeans[at % width] as number) + value / n;
  }
  const alpha = Float64Array.from(targets, (value, at) => value - (targetMeans[at % width] as number));
  solve(factorise(centred, n), n, alpha, width);
  return {
    predict: (queries) => {
      const count = queries.length / n;
      const predicted = new Float32Array(count * width);
      for (let query = 0; query < count; query++) {
        const own = queries.subarray(query * n, (query + 1) * n);
        const mean = toMean(own);
        const sums = Float64Array.from(targetMeans);
        for (let i = 0; i < n; i++) {
          const factor = (own[i] as number) - mean - (means[i] as number) + whole;
          for (let k = 0; k < width; k++) sums[k] = (sums[k] as number) + factor * (alpha[i * width + k] as number);
        }
        predicted.set(sums, query * width);
      }
      return predicted;
    },
  };
}

function toMean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
