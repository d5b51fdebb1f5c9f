import type { WeighedMerge } from "./weigh-merges.js";

/** Unlikeness up to which two clusters are of one tree, whatever the others are: their cosine is 0.7 or more. */
export const surelyOne = 0.3;
/** Unlikeness from which they are of two. */
const surelyTwo = 0.95;

/** Least separation, share and rise of a nested tree, see {@link chooseNestedMerges}. */
const [leastSeparation, leastShare, leastRise] = [1, 1, 9];
/** Models of a nested tree at least, and their share of the models around them: the checkpoints of one training are no tree. */
export const leastNested = 5;
const leastNestedShare = 0.02;

/**
 * Chooses the merges that join two trees, so that they are left out: those above the largest relative gap of unlikeness.
 *
 * The scale has a meaning, so the gap is looked for between 0.3 and 0.95 only: a single tree stays one, however its
 * distances vary, and a pile of unrelated models falls apart altogether. Heights themselves would not do: in Ward's
 * dendrogram they grow with the clusters' sizes, and a model unlike all others joins a large tree long before the tree's
 * own halves are joined.
 *
 * @param leastModels points that the smaller side must have: means of fewer say nothing.
 * @returns places of merges, ascending.
 */
export function chooseTreeMerges(merges: readonly WeighedMerge[], leastModels: number): number[] {
  const limit = findLimit(merges.filter(({ least }) => least >= leastModels).map(({ unlikeness }) => unlikeness));
  return [...merges.keys()].filter((merge) => {
    const { least, unlikeness } = merges[merge] as WeighedMerge;
    return least >= leastModels && unlikeness >= limit;
  });
}

/** The middle, on a scale of ratios, of the largest gap between neighbours from 0.3 to 0.95. */
export function findLimit(unlikenesses: readonly number[]): number {
  const inside = unlikenesses.filter((value) => value > surelyOne && value < surelyTwo).sort((a, b) => a - b);
  const edges = [surelyOne, ...inside, surelyTwo];
  let limit = surelyTwo;
  let largest = 0;
  for (const [index, upper] of edges.entries()) {
    const lower = edges[index - 1];
    if (lower === undefined || upper / lower <= largest) continue;
    largest = upper / lower;
    limit = Math.sqrt(lower * upper);
  }
  return limit;
}

/** A merge among those of several dendrograms. */
interface Candidate {
  readonly group: number;
  readonly merge: number;
  readonly unlikeness: number;
}

/**
 * The merges that are left out where the number of trees is given: those of the most unlike sides.
 *
 * @param groups merges of each dendrogram, with `leastModels` as for {@link chooseTreeMerges}.
 * @param count trees that are wanted. Each dendrogram is one in any case, and so many as have sides large enough.
 * @returns per dendrogram the places of merges, ascending.
 */
export function takeMostUnlike(
  groups: readonly { readonly merges: readonly WeighedMerge[]; readonly leastModels: number }[],
  count: number,
): number[][] {
  const candidates = groups.flatMap(({ merges, leastModels }, group) =>
    [...merges.entries()]
      .filter(([, { least }]) => least >= leastModels)
      .map(([merge, { unlikeness }]): Candidate => ({ group, merge, unlikeness })),
  );
  const taken = candidates
    .sort((a, b) => b.unlikeness - a.unlikeness || a.group - b.group || b.merge - a.merge)
    .slice(0, Math.max(0, count - groups.length));
  return groups.map((_, group) =>
    taken
      .filter((candidate) => candidate.group === group)
      .map(({ merge }) => merge)
      .sort((a, b) => a - b),
  );
}

/**
 * Chooses the merges inside a tree that join it with a nested one: both sides have five models and a fiftieth of the
 * tree, the means are farther apart than the sides are wide (separation 1) and than the tree is wide (share 1), and the
 * merge is at least 9 times as high as any inside either side. Numbers spread evenly along a line, which have no gap,
 * give 8; on a smaller scale there are gaps everywhere by chance.
 *
 * @param leastModels as for {@link chooseTreeMerges}.
 */
export function chooseNestedMerges(merges: readonly WeighedMerge[], leastModels: number): number[] {
  const least = Math.max(leastNested, leastModels, leastNestedShare * (merges.length + 1));
  return [...merges.keys()].filter((at) => {
    const merge = merges[at] as WeighedMerge;
    return (
      merge.least >= least &&
      merge.separation >= leastSeparation &&
      merge.share >= leastShare &&
      merge.rise >= leastRise
    );
  });
}
