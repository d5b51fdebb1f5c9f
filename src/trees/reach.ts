import { InvalidInputError } from "../errors/probestream-error.js";

/** Share of a tree's own models that lie within its reach, before the allowance. */
const within = 0.995;
/** What is added to the reach for models that are still to come. */
const allowance = 1.05;

/** How far a tree's models lie from its middle. */
export interface Reach {
  readonly median: number;
  readonly reach: number;
}

/**
 * Median and reach of some distances, each measured without the model's own share in the middle.
 *
 * @throws InvalidInputError `FIELD_INVALID` without any, or if one is not finite.
 */
export function toReach(distances: readonly number[]): Reach {
  const sorted = [...distances].sort((a, b) => a - b);
  const quantile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  const [median, reach] = [quantile(0.5), quantile(within) * allowance];
  if (!Number.isFinite(reach) || sorted.length < 2) {
    const message = `a tree is measured on at least two models with finite weights; ${sorted.length} were given`;
    throw new InvalidInputError("FIELD_INVALID", message, { models: sorted.length });
  }
  return { median, reach };
}
