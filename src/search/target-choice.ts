import { AbortedError, NotFoundError } from "../errors/probestream-error.js";
import { rowBytes } from "../projection/stored-matrix.js";
import { judgeTrees } from "../trees/judge-trees.js";
import { toCompleteBlocks } from "../trees/sketches/sketch.js";
import { type Tree, type TreeCentroid, toRadius } from "../trees/tree.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { LayerSketch } from "./layer-sketch.js";

/** A target that may be chosen, by its place among those of the model. */
export interface ChoiceTarget {
  readonly target: number;
  readonly spaceId: string;
  readonly tree: Tree & { readonly centroid: TreeCentroid };
}

/** Decides from a layer's first rows which of several experts serves it, and checks that by the whole layer. */
export interface TargetChoice {
  /** Targets that may still serve. */
  readonly possible: readonly number[];
  readonly isDecided: boolean;
  /** Goes on from a saved state, in which only these were projected. */
  keepOnly(targets: readonly number[]): void;
  /**
   * Looks at the rows that came since.
   *
   * @throws NotFoundError `NO_EXPERT` where none can serve, whatever is still to come.
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

/** Begins a choice; all trees are of the sketch's shape. */
export function createTargetChoice(targets: readonly ChoiceTarget[], layer: LayerSketch): TargetChoice {
  const { sketch, matrix } = layer;
  const wholeBytes = matrix.rowCount * rowBytes(matrix);
  let possible = targets;
  let seenBlocks = 0;
  let decidedBytes: number | undefined;

  const judge = (blocks: number): void => {
    const { standings, chosen, isForeign } = judgeTrees(sketch.values, blocks, possible.map(toCentroid));
    const rows = sketch.edges[blocks] as number;
    if (isForeign) throw toNoExpert(rank(possible, standings, matrix.rowCount / rows), rows * rowBytes(matrix));
    possible =
      chosen === undefined
        ? possible.filter((_, index) => standings[index]?.isPossible)
        : [possible[chosen] as ChoiceTarget];
    if (chosen !== undefined) decidedBytes = rows * rowBytes(matrix);
  };

  return {
    get possible() {
      return possible.map(({ target }) => target);
    },
    get isDecided() {
      return decidedBytes !== undefined;
    },
    keepOnly: (kept) => {
      possible = possible.filter(({ target }) => kept.includes(target));
    },
    look: () => {
      const complete = toCompleteBlocks(sketch.edges, layer.rows);
      // Block by block, so that it does not matter in what pieces the rows come.
      while (decidedBytes === undefined && seenBlocks < complete) judge(++seenBlocks);
    },
    conclude: () => {
      const { standings } = judgeTrees(sketch.values, sketch.edges.length - 1, targets.map(toCentroid));
      const ranked = rank(targets, standings, 1);
      const nearest = ranked.find(({ distance, one }) => distance <= toRadius(one.tree.centroid));
      if (nearest === undefined) throw toNoExpert(ranked, wholeBytes);
      const [early] = possible;
      if (decidedBytes !== undefined && early !== nearest.one) throw toRerouted(early, nearest.one, decidedBytes);
      const next = ranked.find((other) => other !== nearest);
      return {
        target: nearest.one.target,
        match: {
          ...toLayerMatch(nearest.one.tree, nearest.distance),
          ...(next !== undefined && { next: { tree: next.one.tree.name, distance: next.distance } }),
          decidedBytes: decidedBytes ?? wholeBytes,
        },
      };
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

function toCentroid({ tree }: ChoiceTarget): TreeCentroid {
  return tree.centroid;
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
  const message = `no expert serves the model: the nearest tree is "${tree}" at a distance of ${distance.toPrecision(4)}, and it accepts up to ${radius.toPrecision(4)}. Train an expert on models like it, or name one (\`experts\` of the manifest, --expert) to embed it all the same`;
  return new NotFoundError("NO_EXPERT", message, facts);
}

function toRerouted(early: ChoiceTarget | undefined, right: ChoiceTarget, decidedBytes: number): AbortedError {
  const message = `the first ${decidedBytes} bytes are of the tree "${early?.tree.name}", the whole layer of "${right.tree.name}"; plan again with the expert ${right.spaceId} and upload from 0`;
  return new AbortedError("REROUTED", message, { spaceId: right.spaceId, tree: right.tree.name, decidedBytes });
}
