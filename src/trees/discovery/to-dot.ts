import { toCommonFolder } from "../common-folder.js";
import { toDotText } from "../dot-text.js";
import type { DiscoveredTree, Discovery } from "./discover-trees.js";

/** Models that a tree shows at most; the rest are one node with their number. */
const mostModels = 24;

/**
 * The trees as a graph for Graphviz (`dot -Tsvg`): a box per tree, an edge to each nested one, and models as leaves, the
 * nearest to the tree's centre first.
 */
export function toDot({ trees }: Discovery): string {
  const folder = toCommonFolder(trees.flatMap(({ group }) => group.locations));
  const lines = [
    "digraph trees {",
    '  graph [rankdir=LR, label="Model Trees", labelloc=t, fontname="Helvetica"];',
    '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica", fontsize=11];',
    '  edge [color="#888888", arrowhead=none];',
    ...trees.flatMap((tree) => toTreeLines(tree, folder)),
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function toTreeLines(tree: DiscoveredTree, folder: string): string[] {
  const { id, parent, group, members, total } = tree;
  const layers = group.layers.length === 1 ? group.layers[0]?.module : `${group.layers.length} LoRA modules`;
  const text = [`tree ${id}`, `${total} ${total === 1 ? "model" : "models"}, ${group.kind}`, layers ?? ""];
  const shown = members.slice(0, mostModels);
  const more = members.length - shown.length;
  return [
    `  tree${id} [label=${toDotText(...text)}, fillcolor="#dde8f7", penwidth=2];`,
    ...(parent === undefined ? [] : [`  tree${parent} -> tree${id} [color="#335599", penwidth=2];`]),
    ...shown.flatMap(({ model }) => {
      const name = (group.locations[model] ?? "").slice(folder.length);
      return [`  m${id}_${model} [label=${toDotText(name)}];`, `  tree${id} -> m${id}_${model};`];
    }),
    ...(more > 0
      ? [`  more${id} [label=${toDotText(`and ${more} more`)}, style=dashed];`, `  tree${id} -> more${id};`]
      : []),
  ];
}
