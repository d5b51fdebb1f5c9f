import type { Discovery } from "./discover-trees.js";

/**
 * The trees as plain data: `trees` with their models, nearest to the tree's centre first, each with its distance from it in
 * norms of the centre; `skipped`, models that could not be read.
 */
export function toTreeJson({ trees, skipped }: Discovery): unknown {
  return {
    format: "probestream-trees/1",
    trees: trees.map(({ id, parent, group, total, radius, median, members }) => ({
      id,
      parent: parent ?? null,
      signature: group.key,
      kind: group.kind,
      layers: group.layers.map(({ module, shape }) => ({ module, shape: [shape.rows, shape.columns] })),
      total,
      radius: round(radius),
      median: round(median),
      models: members.map(({ model, distance }) => ({ file: group.locations[model], distance: round(distance) })),
    })),
    skipped: skipped.map(({ location, error: { reason, message } }) => ({ file: location, reason, message })),
  };
}

/** Six digits: sketches have two that are right. */
function round(value: number): number {
  return Number(value.toPrecision(6));
}
