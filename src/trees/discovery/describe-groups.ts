import { type GroupCentre, toCentreDistance, toGroupCentres } from "./group-centres.js";
import type { VectorTable } from "./squared-distances.js";

/** A model of a tree. */
export interface TreeMember {
  /** Index in its signature group. */
  readonly model: number;
  /** ‖x − centre‖ / ‖centre‖, of sketches. */
  readonly distance: number;
}

/** How a group of models lies around its centre. */
export interface TreeExtent {
  /** Nearest to the centre first. */
  readonly members: readonly TreeMember[];
  /** Distance of the farthest member. */
  readonly radius: number;
  /** Median of the members' distances. */
  readonly median: number;
}

/** Describes groups of models, by their labels from 0. Distances are free of units: 0.2 is a fifth of the weights' norm. */
export function describeGroups(sketches: VectorTable, labels: Int32Array): TreeExtent[] {
  const models = Int32Array.from(labels.keys());
  const centres = toGroupCentres(sketches, models, labels);
  const members = centres.map((): TreeMember[] => []);
  for (const [model, label] of labels.entries()) {
    const centre = centres[label] as GroupCentre;
    const distance = centre.square > 0 ? Math.sqrt(toCentreDistance(sketches, model, centre) / centre.square) : 0;
    members[label]?.push({ model, distance });
  }
  return members.map((own) => {
    const sorted = own.sort((a, b) => a.distance - b.distance || a.model - b.model);
    const [lower, upper] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
    const median = ((sorted[lower]?.distance ?? 0) + (sorted[upper]?.distance ?? 0)) / 2;
    return { members: sorted, radius: sorted.at(-1)?.distance ?? 0, median };
  });
}
