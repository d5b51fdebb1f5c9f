import { toMahalanobis } from "../linalg/ledoit-wolf.js";
import type { Tree, TreeGaussian } from "../trees/tree.js";
import type { TreeMatch } from "../trees/tree-match.js";
import { createNoExpert } from "./target-choice.js";

/** A candidate's representation of a model. */
export interface RepresentedTarget {
  readonly target: number;
  readonly spaceId: string;
  readonly tree: Tree & { readonly gaussian: TreeGaussian };
  readonly representation: Float32Array;
}

/** How a representation stands to those of its expert's tree. */
export function toRepresentationMatch({
  tree,
  representation,
}: Pick<RepresentedTarget, "tree" | "representation">): TreeMatch {
  const { name, parent, gaussian } = tree;
  const [squared = Number.NaN] = toMahalanobis(gaussian, { width: representation.length, values: representation });
  const distance = Math.sqrt(squared);
  return {
    tree: name,
    ...(parent !== undefined && { parent }),
    basis: "representation",
    distance,
    radius: gaussian.reach,
    isAccepted: distance <= gaussian.reach,
  };
}

/**
 * Chooses the expert in whose distribution a model's representation lies: for layers that say nothing of their base (LoRA).
 * Distances of different experts compare as shares of what is usual with each.
 *
 * @throws NotFoundError `NO_EXPERT` if none accepts it.
 */
export function chooseRepresentation(
  candidates: readonly RepresentedTarget[],
  bytes: number,
): { readonly target: number; readonly match: TreeMatch } {
  const ranked = candidates
    .map((one) => ({ one, match: toRepresentationMatch(one) }))
    .sort((a, b) => a.match.distance / a.one.tree.gaussian.median - b.match.distance / b.one.tree.gaussian.median);
  const chosen = ranked.find(({ match }) => match.isAccepted);
  if (chosen === undefined) {
    const [nearest] = ranked;
    if (nearest === undefined) throw createNoExpert({ spaceId: "", tree: "", distance: Number.NaN, radius: 0, bytes });
    const { tree, distance, radius } = nearest.match;
    throw createNoExpert({ spaceId: nearest.one.spaceId, tree, distance, radius, bytes });
  }
  const next = ranked.find((other) => other !== chosen)?.match;
  return {
    target: chosen.one.target,
    match: {
      ...chosen.match,
      ...(next !== undefined && { next: { tree: next.tree, distance: next.distance } }),
      decidedBytes: bytes,
    },
  };
}
