import { toCommonFolder } from "../trees/common-folder.js";
import type { DiscoveredTree, Discovery } from "../trees/discovery/discover-trees.js";
import { type Column, keepEnd, toPlain, toTable } from "./table.js";

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

/** Trees that are shown at most, those of one model among them, and example files of each. */
const [mostTrees, mostSingles, examples] = [50, 6, 2];
/** Widest layer and file. */
const [layerWidth, fileWidth] = [34, 40];

/** Lines of a table of trees, and how many more there are than it shows. */
export function toTreeLines({ trees }: Discovery): string[] {
  const folder = toCommonFolder(trees.flatMap(({ group }) => group.locations));
  const singles = trees.filter(isSingle);
  const isFolded = singles.length > mostSingles;
  const rows = trees.filter((tree) => !isFolded || !isSingle(tree));
  const shown = rows.slice(0, mostTrees);
  const left = rows.length - shown.length;
  const first = singles[0];
  return [
    ...(shown.length > 0
      ? toTable(
          columns,
          shown.map((tree) => toCells(tree, folder)),
        )
      : []),
    ...(left > 0 ? [`and ${left} smaller trees (--json names all)`] : []),
    ...(isFolded && first !== undefined
      ? [toPlain(`and ${singles.length} trees of one model each, such as ${toNames(first, folder)} (--json names all)`)]
      : []),
  ];
}

function isSingle({ total, parent }: DiscoveredTree): boolean {
  return total === 1 && parent === undefined;
}

function toNames({ group, members }: DiscoveredTree, folder: string): string {
  const files = members.slice(0, examples).map(({ model }) => {
    return keepEnd((group.locations[model] ?? "").slice(folder.length), fileWidth);
  });
  return members.length > examples ? `${files.join(", ")}, …` : files.join(", ");
}

function toCells(tree: DiscoveredTree, folder: string): string[] {
  const { id, parent, members, group, total, median, radius } = tree;
  return [
    String(id),
    parent === undefined ? "" : String(parent),
    String(total),
    group.kind,
    toLayerText(tree),
    members.length > 1 ? toShare(median) : "",
    members.length > 1 ? toShare(radius) : "",
    toNames(tree, folder),
  ];
}

/** The layer of a tree, or how many: LoRAs are compared by several. */
function toLayerText({ group: { layers } }: Pick<DiscoveredTree, "group">): string {
  const [first] = layers;
  return layers.length === 1 ? keepEnd(first?.module ?? "", layerWidth) : `${layers.length} modules`;
}

/** Distances are shares of the norm of the tree's centre. */
function toShare(distance: number): string {
  return `${(100 * distance).toFixed(distance < 0.0995 ? 1 : 0)} %`;
}
