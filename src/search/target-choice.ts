import { AbortedError, NotFoundError } from "../errors/probestream-error.js";
import { rowBytes } from "../projection/stored-matrix.js";
import { judgeTrees } from "../trees/judge-trees.js";
import { toNearestMatch, withNext } from "../trees/nearest-match.js";
import { toCompleteBlocks } from "../trees/sketches/sketch.js";
import { type CentredTree, toRadius } from "../trees/tree.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { LayerSketch } from "./layer-sketch.js";

/** A target that may be chosen, by its place among those of the model. */
export interface ChoiceTarget {
  readonly target: number;
  readonly spaceId: string;
  readonly tree: CentredTree;
}

/** Decides from a layer's first rows which of several experts serves it, and checks that by the whole layer. */
export interface TargetChoice {
  /** Targets that may still serve, as far as the rows tell. */
  readonly possible: readonly number[];
  readonly isDecided: boolean;
  /**
   * Looks at the rows that came since.
   *
   * @throws NotFoundError `NO_EXPERT` where none can serve, whatever is still to come; AbortedError `REROUTED` where the one
   * that does was given up by earlier rows.
   */
  look(): void;
  /**
   * Decides by the whole layer.
   *
   * @throws NotFoundError `NO_EXPERT` if no tree accepts it.
   * @throws AbortedError `REROUTED` if another expert should have been chosen.
   */
  conclude(): { readonly target: number; readonly match: TreeMatch };
}

/**
 * Begins a choice; all trees are of the sketch's shape.
 *
 * @param canServe whether all rows so far are there for a target: not for one that earlier rows ruled out.
 */
export function createTargetChoice(
  targets: readonly ChoiceTarget[],
  layer: LayerSketch,
  canServe: (target: number) => boolean,
): TargetChoice {
  const { sketch, matrix } = layer;
  const wholeBytes = matrix.rowCount * rowBytes(matrix);
  const trees = targets.map(({ tree }) => tree);
  let possible = targets;
  let seenBlocks = 0;
  let decided: { readonly one: ChoiceTarget; readonly bytes: number } | undefined;

  // Of all targets each time: what a few rows ruled out may come back, and only all of them make a layer foreign.
  const judge = (blocks: number): void => {
    const { standings, chosen, isForeign } = judgeTrees(sketch.values, blocks, trees);
    const rows = sketch.edges[blocks] as number;
    const bytes = rows * rowBytes(matrix);
    if (isForeign) throw toNoExpert(rank(targets, standings, matrix.rowCount / rows), bytes);
    const one = chosen === undefined ? undefined : targets[chosen];
    possible = one === undefined ? targets.filter((_, index) => standings[index]?.isPossible) : [one];
    if (one === undefined) return;
    if (!canServe(one.target)) throw toRerouted(one, bytes);
    decided = { one, bytes };
  };

  return {
    get possible() {
      return possible.map(({ target }) => target);
    },
    get isDecided() {
      return decided !== undefined;
    },
    look: () => {
      const complete = toCompleteBlocks(sketch.edges, layer.rows);
      // Block by block, so that it does not matter in what pieces the rows come.
      while (decided === undefined && seenBlocks < complete) judge(++seenBlocks);
    },
    conclude: () => {
      const { standings } = judgeTrees(sketch.values, sketch.edges.length - 1, trees);
      const matches = targets.map(({ tree }, index) => toLayerMatch(tree, Math.sqrt(standings[index]?.squared ?? 0)));
      const nearest = toNearestMatch(matches);
      const one = targets[nearest.chosen ?? -1];
      const match = withNext(matches, nearest);
      if (one === undefined || match === undefined) throw toNoExpert(rank(targets, standings, 1), wholeBytes);
      if (!canServe(one.target) || (decided !== undefined && decided.one !== one)) {
        throw toRerouted(one, decided?.bytes ?? wholeBytes);
      }
      return { target: one.target, match: { ...match, decidedBytes: decided?.bytes ?? wholeBytes } };
    },
  };
}

/** How a whole layer stands to a tree. */
export function toLayerMatch(tree: ChoiceTarget["tree"], distance: number): TreeMatch {
  const { name, parent, centroid } = tree;
  const radius = toRadius(centroid);
  return {
    tree: name,
    ...(parent !== undefined && { parent }),
    basis: "layer",
    distance,
    radius,
    isAccepted: distance <= radius,
  };
}

interface Ranked {
  readonly one: ChoiceTarget;
  readonly distance: number;
}

/** Nearest first; distances of the whole layer, estimated from the rows so far. */
function rank(targets: readonly ChoiceTarget[], standings: readonly { squared: number }[], factor: number): Ranked[] {
  const all = targets.map((one, index) => ({ one, distance: Math.sqrt((standings[index]?.squared ?? 0) * factor) }));
  return all.sort((a, b) => a.distance - b.distance);
}

function toNoExpert([nearest]: readonly Ranked[], bytes: number): NotFoundError {
  if (nearest === undefined) return new NotFoundError("NO_EXPERT", "no expert was a candidate");
  const { spaceId, tree } = nearest.one;
  return createNoExpert({
    spaceId,
    tree: tree.name,
    distance: nearest.distance,
    radius: toRadius(tree.centroid),
    bytes,
  });
}

/** The error for a model that no tree accepts. */
export function createNoExpert(facts: {
  spaceId: string;
  tree: string;
  distance: number;
  radius: number;
  bytes: number;
}): NotFoundError {
  const { tree, distance, radius } = facts;
  const message = `no expert serves the model: the nearest tree is "${tree}" at a distance of ${distance.toPrecision(4)}, and it accepts up to ${radius.toPrecision(4)}. Train an expert on models like it, or name one (--expert, \`experts\` of the manifest) to embed it all the same`;
  return new NotFoundError("NO_EXPERT", message, facts);
}

function toRerouted({ spaceId, tree }: ChoiceTarget, bytes: number): AbortedError {
  const message = `the first rows of the layer led away from the tree "${tree.name}", which it belongs to (seen after ${bytes} bytes); plan again with the expert ${spaceId} and upload from 0`;
  return new AbortedError("REROUTED", message, { spaceId, tree: tree.name, bytes });
}
