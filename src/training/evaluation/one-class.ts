import { fitLedoitWolf, toMahalanobis } from "../../linalg/ledoit-wolf.js";
import type { Rows } from "../../linalg/rows.js";
import { toUnitRows } from "../../linalg/unit.js";
import { type Interval, meanOf, toInterval } from "./bootstrap.js";
import { type Neighbourhood, toLabelNearness } from "./nearest-neighbours.js";
import { areaUnderCurve } from "./rankings.js";

/** How well models of one label are told from all others by models of that label alone: mean AUC over labels. */
export interface OneClass {
  /** By mean cosine to the nearest of them. */
  readonly neighbours: Interval;
  /** By Mahalanobis distance with the covariance of Ledoit and Wolf. */
  readonly ledoitWolf: Interval;
}

/** Models of a label that it takes to describe it. */
const fewest = 2;

/**
 * One-class classification of queries by the models of a gallery. Where the queries are the gallery, each is told by the
 * others.
 *
 * @param truths labels of each query, numbered as those of the gallery.
 */
export function toOneClass(
  neighbourhood: Neighbourhood,
  queryRows: Rows,
  galleryRows: Rows,
  truths: readonly (readonly number[])[],
): OneClass | undefined {
  const { leaveOneOut } = neighbourhood;
  // As cosines see them: the length of a representation tells how long a model was trained rather than on what.
  const queries = toUnitRows(queryRows);
  const gallery = toUnitRows(galleryRows);
  const labels = [...new Set(truths.flat())].map((label) => ({
    isPositive: truths.map((truth) => truth.includes(label)),
    members: neighbourhood.gallery.flatMap((own, index) => (own.includes(label) ? [index] : [])),
  }));
  const usable = labels.filter(
    ({ isPositive, members }) => members.length > fewest && isPositive.includes(true) && isPositive.includes(false),
  );
  if (usable.length === 0) return undefined;
  const neighbours = usable.map(({ isPositive, members }) =>
    areaUnderCurve(toLabelNearness(neighbourhood, members), isPositive),
  );
  const gaussians = usable.map(({ isPositive, members }) => {
    const distances = toMahalanobis(fitLedoitWolf(pick(gallery, members)), queries);
    // A model that the Gaussian was fitted to lies too near: it is measured with one that lacks it.
    if (leaveOneOut) {
      for (const member of members) {
        const others = members.filter((index) => index !== member);
        const [distance = 0] = toMahalanobis(fitLedoitWolf(pick(gallery, others)), pick(queries, [member]));
        distances[member] = distance;
      }
    }
    return areaUnderCurve(
      distances.map((distance) => -distance),
      isPositive,
    );
  });
  const cost = truths.length * usable.length;
  return {
    neighbours: toInterval(truths.length, meanOf(neighbours), cost),
    ledoitWolf: toInterval(truths.length, meanOf(gaussians), cost),
  };
}

function pick({ width, values }: Rows, indices: readonly number[]): Rows {
  const picked = new Float32Array(indices.length * width);
  for (const [place, index] of indices.entries()) {
    picked.set(values.subarray(index * width, (index + 1) * width), place * width);
  }
  return { width, values: picked };
}
