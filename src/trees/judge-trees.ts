import { SKETCH_BUCKETS } from "./sketches/sketch.js";
import { squaredDistance } from "./squared-distance.js";
import { type CentredTree, FILE_TOLERANCE, type TreeCentroid, toRadius } from "./tree.js";

/** How a layer, as far as it came, stands to one tree. */
export interface TreeStanding {
  /** Squared distance of the sketches so far. */
  readonly squared: number;
  /** What the tree accepts of it. */
  readonly allowed: number;
  /** Whether it can still be the nearest. */
  readonly isPossible: boolean;
}

/** What can be said of a layer as far as it came. */
export interface TreeJudgement {
  /** One per tree. */
  readonly standings: readonly TreeStanding[];
  /** Index of the tree that is certainly the nearest and accepts what came so far. */
  readonly chosen: number | undefined;
  /** Certainly no tree accepts the layer: what came so far is farther from each than it accepts of the whole. */
  readonly isForeign: boolean;
}

/** Standard errors that make certain: 1 of 16,000 that are normal is beyond four. */
const certain = 4;
/** By how much errors exceed those of a difference that is spread evenly. */
const unevenness = 1.5;
/** Complete blocks before anything is certain. */
const fewestBlocks = 2;
/**
 * Compares the first blocks of a layer's sketch with those of trees.
 *
 * A tree T can no longer be the nearest where ‖s − t‖² exceeds that of the nearest, b, by four standard errors. With
 * a = s − b, u = b − t and n numbers the difference is ‖u‖² + 2·a·u with a standard error of
 * 1.5·√((4·‖a‖²·‖u‖² + 2·‖u‖⁴)/n), where the sketch's own error is that of random signs and 1.5 makes up for rows and
 * columns that differ in weight. So the whole sketch tells two trees apart that are a fifteenth of a model's distance from
 * each other. A centroid of few models lies off the middle of its tree, which adds to every distance from it: as much as t
 * lies farther off than b does is not counted against T.
 *
 * @param sketch blocks × 64 numbers, the first `blocks` blocks of which are complete.
 * @param trees all of the sketch's shape.
 */
export function judgeTrees(sketch: Float64Array, blocks: number, trees: readonly CentredTree[]): TreeJudgement {
  const count = blocks * SKETCH_BUCKETS;
  // A layer with fewer columns than buckets leaves the others empty.
  const used = blocks * Math.min(SKETCH_BUCKETS, trees[0]?.centroid.shape.columnCount ?? SKETCH_BUCKETS);
  const error = unevenness * Math.sqrt(2 / Math.max(1, used));
  const measured = trees.map(({ models, centroid }) => ({
    centroid,
    squared: squaredDistance(sketch, centroid.values, count),
    allowed: toAllowed(centroid, blocks),
    offset: toOffset(models, centroid, blocks),
  }));
  const nearest = measured.reduce(
    (best, { squared }, index) => (squared < (measured[best]?.squared ?? 0) ? index : best),
    0,
  );
  const best = measured[nearest];
  if (best === undefined || blocks === 0) {
    return {
      standings: measured.map(({ squared, allowed }) => ({ squared, allowed, isPossible: true })),
      chosen: undefined,
      isForeign: false,
    };
  }
  const standings = measured.map(({ centroid, squared, allowed, offset }, index): TreeStanding => {
    if (index === nearest) return { squared, allowed, isPossible: true };
    const apart = squaredDistance(best.centroid.values, centroid.values, count);
    const deviation = unevenness * Math.sqrt((4 * best.squared * apart + 2 * apart ** 2) / used);
    const excess = squared - best.squared - Math.max(0, offset - best.offset);
    return { squared, allowed, isPossible: excess <= certain * deviation };
  });
  const isEarly = blocks < Math.min(fewestBlocks, sketch.length / SKETCH_BUCKETS);
  const others = standings.filter(({ isPossible }) => isPossible).length - 1;
  const fits = best.squared <= best.allowed * Math.exp(certain * error);
  return {
    standings,
    chosen: !isEarly && others === 0 && fits ? nearest : undefined,
    isForeign:
      !isEarly &&
      measured.every(({ centroid, squared }) => squared * Math.exp(-certain * error) > toRadius(centroid) ** 2),
  };
}

/** Squared distance of the first blocks that a tree accepts: its reach as its models spread over them, and the tolerance. */
function toAllowed({ spread, reach, values }: TreeCentroid, blocks: number): number {
  const total = spread.reduce((sum, value) => sum + value, 0);
  const share = total === 0 ? 0 : spread.subarray(0, blocks).reduce((sum, value) => sum + value, 0) / total;
  const energy = values.subarray(0, blocks * SKETCH_BUCKETS).reduce((sum, value) => sum + value * value, 0);
  return share * reach ** 2 + FILE_TOLERANCE ** 2 * energy;
}

/**
 * Squared distance, over the first blocks, of a centroid from where the mean of endless models would lie: their variance over
 * their number. The spread is of each model's distance from the others' mean, which is count/(count − 1) of the variance.
 */
function toOffset(models: number, { spread }: TreeCentroid, blocks: number): number {
  // A file may not tell how many there were: two are the fewest.
  const count = Math.max(2, models);
  return (spread.subarray(0, blocks).reduce((sum, value) => sum + value, 0) * (count - 1)) / count ** 2;
}
