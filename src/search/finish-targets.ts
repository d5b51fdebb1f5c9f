import { rangeBytes, type StoredMatrix } from "../projection/stored-matrix.js";
import { toNearestMatch, withNext } from "../trees/nearest-match.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { WorkerTarget } from "./embed-messages.js";
import { createNoExpert, type TargetChoice } from "./target-choice.js";
import type { TargetGauge } from "./target-gauges.js";
import type { TargetLanes } from "./target-lanes.js";

/** Responses of one target, and how the model stands to its tree where the layer tells. */
export interface TargetResponses {
  /** Place among the model's targets. */
  readonly target: number;
  readonly responses: Float32Array;
  readonly match: TreeMatch | undefined;
}

/** A model whose layer is complete. */
export interface WholeModel {
  readonly tensors: readonly StoredMatrix[];
  readonly targets: readonly WorkerTarget[];
  readonly lanes: Pick<TargetLanes, "finish">;
  readonly gauged: readonly TargetGauge[];
  /** Of a routed dense layer. */
  readonly choice: TargetChoice | undefined;
  readonly isRouted: boolean;
}

/**
 * Gives the responses per target of a whole layer; of a routed one those of the chosen target, where its layer tells.
 *
 * @throws NotFoundError `NO_EXPERT`, AbortedError `REROUTED` of a routed layer.
 */
export async function finishTargets(model: WholeModel): Promise<TargetResponses[]> {
  const { tensors, targets, lanes, gauged, choice, isRouted } = model;
  if (choice !== undefined) {
    const { target, match } = choice.conclude();
    return [{ target, responses: await lanes.finish(target), match }];
  }
  const matches = gauged.map(({ match }) => match());
  // Of LoRA layers all candidates were projected: it costs little, and only the whole tells.
  if (isRouted && gauged.length === targets.length) {
    const { target, match } = chooseMatch(matches, targets, tensors);
    return [{ target, responses: await lanes.finish(target), match }];
  }
  const finished: TargetResponses[] = [];
  for (const target of targets.keys()) {
    const match = matches[gauged.findIndex((one) => one.target === target)];
    finished.push({ target, responses: await lanes.finish(target), match });
  }
  return finished;
}

/** The space id of the target at a place, for messages. */
export function spaceIdOf(targets: readonly WorkerTarget[], target: number): string {
  return targets[target]?.spaceId ?? "";
}

/** The target whose tree is the nearest that accepts the model; `matches` has one per target. */
function chooseMatch(
  matches: readonly TreeMatch[],
  targets: readonly WorkerTarget[],
  tensors: readonly StoredMatrix[],
): { readonly target: number; readonly match: TreeMatch } {
  const nearest = toNearestMatch(matches);
  const match = withNext(matches, nearest);
  const bytes = tensors.reduce((sum, matrix) => sum + rangeBytes(matrix), 0);
  if (nearest.chosen !== undefined && match !== undefined) {
    return { target: nearest.chosen, match: { ...match, decidedBytes: bytes } };
  }
  const [first = 0] = nearest.ranked;
  const { tree = "", distance = Number.NaN, radius = 0 } = matches[first] ?? {};
  throw createNoExpert({ spaceId: spaceIdOf(targets, first), tree, distance, radius, bytes });
}
