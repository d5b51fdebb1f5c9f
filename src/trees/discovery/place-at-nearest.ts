import { surelyOne } from "./choose-tree-count.js";
import { type GroupCentre, toCentreDistance, toGroupCentres } from "./group-centres.js";
import { toSquare, type VectorTable } from "./squared-distances.js";
import { yieldTo } from "./yield-to.js";

/** How far out of a group of a sample a model of it may lie, as squared distance from its centre over the largest in the sample. */
const margin = 1.2;

/** Models between two looks at the signal. */
const modelsAtOnce = 256;

/**
 * Gives models without a label that of the nearest group, by the distance to its centre.
 *
 * @param labels one per model, -1 where there is none yet; a copy is returned.
 * @param anywhere whether it is taken however far away it is; else only within the group: as near as its farthest member,
 * with a margin of a fifth, or so like its centre that they are of one tree in any case.
 */
export async function placeAtNearest(
  sketches: VectorTable,
  models: Int32Array,
  labels: Int32Array,
  anywhere: boolean,
  signal?: AbortSignal,
): Promise<Int32Array> {
  const centres = toGroupCentres(sketches, models, labels);
  const radii = new Float64Array(centres.length);
  for (const [at, label] of labels.entries()) {
    if (label === -1) continue;
    const distance = toCentreDistance(sketches, models[at] as number, centres[label] as GroupCentre);
    radii[label] = Math.max(radii[label] as number, distance);
  }
  const placed = labels.slice();
  for (const [at, label] of labels.entries()) {
    if (at % modelsAtOnce === 0) await yieldTo(signal);
    if (label !== -1) continue;
    const model = models[at] as number;
    const [nearest, distance] = findNearest(sketches, model, centres);
    const alike = surelyOne * (toSquare(sketches, model) + (centres[nearest]?.square ?? 0));
    placed[at] = anywhere || distance <= Math.max(margin * (radii[nearest] as number), alike) ? nearest : -1;
  }
  return placed;
}

function findNearest(sketches: VectorTable, model: number, centres: readonly GroupCentre[]): [number, number] {
  let [nearest, least] = [-1, Number.POSITIVE_INFINITY];
  for (const [label, centre] of centres.entries()) {
    const distance = toCentreDistance(sketches, model, centre);
    if (distance < least) [nearest, least] = [label, distance];
  }
  return [nearest, least];
}
