import { toCommonFolder } from "../common-folder.js";
import { shortenName } from "../shorten-name.js";
import { toXml } from "../xml-text.js";
import type { RecoveredHeritage } from "./recover-heritage.js";
import { walkHeritage } from "./walk-heritage.js";

/** Sizes in pixels. */
const [width, margin, rowHeight, top] = [1100, 28, 26, 92];
const [widestIndent, namesWidth] = [34, 430];
/** Rows at most. */
const mostRows = 600;

/**
 * A family tree as a picture: a row per model, below the one that it was fine-tuned from and to the right of it, with its
 * distance as a bar. Dark on white, with the viewer's own fonts.
 */
export function toHeritageSvg(heritage: RecoveredHeritage): string {
  const { locations, layers } = heritage;
  const rows = walkHeritage(heritage);
  const shown = rows.slice(0, mostRows);
  const folder = toCommonFolder(locations);
  const deepest = shown.reduce((most, { depth }) => Math.max(most, depth), 1);
  const indent = Math.min(widestIndent, (width - 2 * margin - namesWidth - 260) / deepest);
  const farthest = shown.reduce((most, { distance }) => Math.max(most, distance), Number.MIN_VALUE);
  const places = new Map(
    shown.map(({ model, depth }, row) => [model, { x: margin + depth * indent, y: top + row * rowHeight }]),
  );
  const height = top + shown.length * rowHeight + (rows.length > shown.length ? 58 : 28);
  const bars = width - margin - 190;
  const parts = shown.flatMap(({ model, parent, distance, descendants }) => {
    const { x, y } = places.get(model) ?? { x: 0, y: 0 };
    const above = parent === undefined ? undefined : places.get(parent);
    const name = shortenName((locations[model] ?? "").slice(folder.length), 62);
    const more = descendants > 0 ? `  (${descendants})` : "";
    return [
      ...(above === undefined ? [] : [`<path class="link" d="M${above.x + 6} ${above.y + 6}V${y}H${x}"/>`]),
      `<circle class="${parent === undefined ? "root" : descendants > 0 ? "inner" : "leaf"}" cx="${x + 6}" cy="${y}" r="${descendants > 0 ? 5 : 3.5}"/>`,
      `<text class="name" x="${x + 18}" y="${y + 4}">${toXml(name + more)}</text>`,
      ...(parent === undefined
        ? []
        : [
            `<rect class="bar" x="${bars}" y="${y - 5}" width="${Math.max(1, (130 * distance) / farthest).toFixed(1)}" height="10"/>`,
            `<text class="soft" x="${bars + 138}" y="${y + 4}">${distance.toPrecision(3)}</text>`,
          ]),
    ];
  });
  const left = rows.length - shown.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Heritage of ${locations.length} models">
<style>
text{font-family:system-ui,Helvetica,Arial,sans-serif;fill:#1a1a1a}.title{font-size:19px;font-weight:600}.name{font-size:13px}.soft{font-size:12px;fill:#555}
.link{fill:none;stroke:#9aa4b2;stroke-width:1.4}.root{fill:#c2410c}.inner{fill:#1d4f91}.leaf{fill:#6b8fc2}.bar{fill:#c9d8ee}
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text class="title" x="${margin}" y="36">Who was fine-tuned from whom: ${locations.length} models</text>
<text class="soft" x="${margin}" y="58">from the root down; in brackets the models below; compared by ${layers.length} layer${layers.length === 1 ? "" : "s"}</text>
<text class="soft" x="${bars}" y="58">distance from parent</text>
${parts.join("\n")}
${left > 0 ? `<text class="soft" x="${margin}" y="${height - 24}">and ${left} more</text>` : ""}
</svg>
`;
}
