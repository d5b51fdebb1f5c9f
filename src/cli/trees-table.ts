import type { DiscoveredTree, Discovery } from "../trees/discover-trees.js";
import { toCommonFolder } from "../trees/shorten-path.js";
import { type Column, keepEnd, toTable } from "./table.js";

const columns: readonly Column[] = [
  { title: "tree" },
  { title: "of" },
  { title: "models", align: "right" },
  { title: "kind" },
  { title: "layer" },
  { title: "median", align: "right" },
  { title: "radius", align: "right" },
  { title: "for example" },
];

/** Trees that are shown at most, and example files of each. */
const [mostTrees, examples] = [50, 2];
/** Widest layer and file. */
const [layerWidth, fileWidth] = [34, 40];

/** Lines of a table of trees, and of what is beside it: what distances are, and more trees than are shown. */
export function toTreeLines({ trees }: Discovery): string[] {
  const folder = toCommonFolder(trees.flatMap(({ group }) => group.locations));
  const shown = trees.slice(0, mostTrees);
  const left = trees.slice(mostTrees);
  const models = left.reduce((sum, { members }) => sum + members.length, 0);
  return [
    ...toTable(
      columns,
      shown.map((tree) => toCells(tree, folder)),
    ),
    ...(left.length > 0 ? [`and ${left.length} smaller trees with ${models} models (--json names all)`] : []),
  ];
}

function toCells(tree: DiscoveredTree, folder: string): string[] {
  const { id, parent, members, group, total, median, radius } = tree;
  const files = members.slice(0, examples).map(({ model }) => {
    return keepEnd((group.locations[model] ?? "").slice(folder.length), fileWidth);
  });
  return [
    String(id),
    parent === undefined ? "" : String(parent),
    String(total),
    group.kind,
    toLayerText(tree),
    members.length > 1 ? toShare(median) : "",
    members.length > 1 ? toShare(radius) : "",
    members.length > examples ? `${files.join(", ")}, …` : files.join(", "),
  ];
}

/** The layer of a tree, or how many: LoRAs are compared by several. */
export function toLayerText({ group: { layers } }: Pick<DiscoveredTree, "group">): string {
  const [first] = layers;
  return layers.length === 1 ? keepEnd(first?.module ?? "", layerWidth) : `${layers.length} modules`;
}

/** Distances are shares of the norm of the tree's centre. */
function toShare(distance: number): string {
  return `${(100 * distance).toFixed(distance < 0.0995 ? 1 : 0)} %`;
}
