import { sortDown } from "./rankings.js";

/** Neighbours that are asked. */
export const neighbourCount = 5;

/** Similarities of queries to a gallery whose labels are known. */
export interface Neighbourhood {
  /** Queries × gallery. */
  readonly similarities: Float32Array;
  /** Labels of each model of the gallery. */
  readonly gallery: readonly (readonly number[])[];
  /** Whether query i is model i of the gallery, which is then no neighbour of itself. */
  readonly leaveOneOut: boolean;
}

/**
 * Shares of the nearest neighbours that have each label, queries × labels: labels score as in k-nearest-neighbour
 * classification, with the summed similarity of those that have it to decide between equal shares.
 */
export function toNeighbourScores(neighbourhood: Neighbourhood, labels: number): Float32Array {
  const { gallery } = neighbourhood;
  const queries = neighbourhood.similarities.length / Math.max(1, gallery.length);
  const scores = new Float32Array(queries * labels);
  for (let query = 0; query < queries; query++) {
    const { nearest, similarities } = findNearest(neighbourhood, query);
    for (const index of nearest) {
      for (const label of gallery[index] ?? []) {
        const at = query * labels + label;
        const tie = (similarities[index] as number) * 1e-3;
        scores[at] = (scores[at] as number) + (1 + tie) / nearest.length;
      }
    }
  }
  return scores;
}

function findNearest(
  { similarities, gallery, leaveOneOut }: Neighbourhood,
  query: number,
): { readonly nearest: readonly number[]; readonly similarities: Float32Array } {
  const own = similarities.subarray(query * gallery.length, (query + 1) * gallery.length);
  const order = [...sortDown(own).subarray(0, neighbourCount + 1)];
  const others = leaveOneOut ? order.filter((index) => index !== query) : order;
  return { nearest: others.slice(0, neighbourCount), similarities: own };
}

/**
 * How near a query is to one label: the mean similarity of the nearest models that have it.
 *
 * @param members the models of the gallery that have the label.
 */
export function toLabelNearness(neighbourhood: Neighbourhood, members: readonly number[]): Float32Array {
  const { similarities, gallery, leaveOneOut } = neighbourhood;
  const queries = similarities.length / Math.max(1, gallery.length);
  return Float32Array.from({ length: queries }, (_, query) => {
    const own = members
      .filter((index) => !leaveOneOut || index !== query)
      .map((index) => similarities[query * gallery.length + index] as number)
      .sort((a, b) => b - a)
      .slice(0, neighbourCount);
    return own.reduce((sum, value) => sum + value, 0) / Math.max(1, own.length);
  });
}
