import { InvalidInputError } from "../errors/probestream-error.js";

/** Share of a tree's models that lie within its reach. */
const within = 0.995;
/** The same of a normal distribution, in standard deviations. */
const deviations = 2.576;
/** What is added to the greatest distance that was measured for models that are still to come. */
const allowance = 1.05;

/** How far a tree's models lie from its middle. */
export interface Reach {
  /** Half of the models are nearer. */
  readonly median: number;
  /** 99.5 of a hundred models are expected to be nearer. */
  readonly reach: number;
}

const noLimits = { guess: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };

/**
 * Median and reach of some distances, each measured without the model's own share in the middle.
 *
 * The reach is the 99.5 % quantile with an allowance of a twentieth, or, for few models know little of the quantile, that
 * of the next distance if logarithms are normal (Student's t by its first correction), whichever is more.
 *
 * @param guess what the second of the two may come to.
 * @param limit what the reach may come to at all: a stray among few models would else open the tree to everything.
 * @throws InvalidInputError `FIELD_INVALID` for fewer than two, or if one is not finite.
 */
export function toReach(
  distances: readonly number[],
  { guess, limit }: { readonly guess: number; readonly limit: number } = noLimits,
): Reach {
  const count = distances.length;
  if (count < 2 || !distances.every(Number.isFinite)) {
    const message = `a tree is measured on at least two models with finite weights; ${count} were given`;
    throw new InvalidInputError("FIELD_INVALID", message, { models: count });
  }
  const sorted = [...distances].sort((a, b) => a - b);
  const quantile = (share: number): number => sorted[Math.min(count - 1, Math.floor(share * count))] ?? Number.NaN;
  // Models that are their ancestor itself lie at 0.
  const logs = sorted.filter((distance) => distance > 0).map(Math.log);
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const student = deviations + (deviations ** 3 + deviations) / (4 * (logs.length - 1));
  const next = logs.length < 2 ? 0 : Math.exp(mean + student * Math.sqrt(variance * (1 + 1 / logs.length)));
  const [median, reach] = [quantile(0.5), Math.max(quantile(within) * allowance, Math.min(next, guess))];
  return { median, reach: Math.min(reach, limit) };
}
