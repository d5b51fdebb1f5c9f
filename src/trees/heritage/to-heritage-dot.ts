import { toCommonFolder } from "../common-folder.js";
import { toDotText } from "../dot-text.js";
import type { RecoveredHeritage } from "./recover-heritage.js";

/** A family tree as a graph for Graphviz (`dot -Tsvg`): a box per model, an edge from parent to child with their distance. */
export function toHeritageDot({ root, edges, locations }: RecoveredHeritage): string {
  const folder = toCommonFolder(locations);
  const lines = [
    "digraph heritage {",
    '  graph [rankdir=LR, label="Heritage", labelloc=t, fontname="Helvetica"];',
    '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica", fontsize=11];',
    '  edge [color="#666666", fontname="Helvetica", fontsize=9];',
    ...locations.map((location, model) => {
      const fill = model === root ? ', fillcolor="#dde8f7", penwidth=2' : "";
      return `  m${model} [label=${toDotText(location.slice(folder.length))}${fill}];`;
    }),
    ...edges.map(
      ({ parent, child, distance }) => `  m${parent} -> m${child} [label=${toDotText(distance.toPrecision(3))}];`,
    ),
    "}",
  ];
  return `${lines.join("\n")}\n`;
}
