import { toCommonFolder } from "../common-folder.js";
import { shortenName } from "../shorten-name.js";
import { toXml } from "../xml-text.js";
import type { DiscoveredTree, Discovery } from "./discover-trees.js";
import type { SignatureGroup } from "./read-models.js";

/** Sizes in pixels. */
const [width, margin, rowHeight, indent] = [1200, 28, 62, 30];
/** Where the columns of a row begin: histogram and names. */
const [chartLeft, chartWidth, namesLeft] = [420, 300, 752];
const chartHeight = 34;
const bins = 60;
/** Rows of a signature at most; trees of one model share a row where they are more than a few. */
const [mostRows, mostSingles] = [300, 6];
/** Names of a tree, and characters of each. */
const [names, nameLength] = [3, 55];

/**
 * The trees as a picture: a section per signature; a row per tree with how many models it has, how far they lie from its
 * centre (a histogram, on the same scale in all rows of a section) and what the nearest are called; nested trees hang
 * below the one that they are nested in. Dark on white, with the viewer's own fonts.
 */
export function toSvg(discovery: Discovery): string {
  const { groups, trees, skipped } = discovery;
  const folder = toCommonFolder(groups.flatMap(({ locations }) => locations));
  const models = groups.reduce((sum, { locations }) => sum + locations.length, 0);
  const tops = trees.filter(({ parent }) => parent === undefined).length;
  const nested = trees.length - tops;
  const facts = [
    count(models, "model"),
    count(tops, "tree") + (nested > 0 ? ` and ${nested} nested` : ""),
    count(groups.length, "signature"),
    ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
  ];
  const parts = [
    text(margin, 46, "Model Trees", 'class="title"'),
    text(margin, 72, `${facts.join(" · ")}${folder === "" ? "" : ` · ${shortenName(folder, 80)}`}`, 'class="soft"'),
  ];
  let top = 100;
  // Sections in the order of their largest trees.
  for (const group of new Set(trees.map((tree) => tree.group))) {
    const section = toSection(
      group,
      trees.filter((tree) => tree.group === group),
      folder,
      top,
    );
    parts.push(...section.parts);
    top = section.bottom;
  }
  const height = top + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${toXml(`Model Trees: ${facts.join(", ")}`)}</title>`,
    `<style>${style}</style>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

const style = [
  "text{font-family:system-ui,'Helvetica Neue',Arial,sans-serif;font-size:14px;fill:#1c2128}",
  ".title{font-size:26px;font-weight:600}.head{font-size:16px;font-weight:600}.name{font-size:15px;font-weight:600}",
  ".soft,.file{fill:#4b5563}.file{font-size:12.5px}.axis{font-size:11px;fill:#4b5563}",
  ".bar{fill:#2f6fb3}.nested{fill:#b3632f}.rule{stroke:#d5dae1;stroke-width:1}.link{stroke:#6b7280;stroke-width:1.5;fill:none}",
].join("");

interface Section {
  readonly parts: readonly string[];
  readonly bottom: number;
}

function toSection(group: SignatureGroup, trees: readonly DiscoveredTree[], folder: string, top: number): Section {
  const singles = trees.filter(isSingle);
  const isFolded = singles.length > mostSingles;
  const rows = trees.filter((tree) => !isFolded || !isSingle(tree)).slice(0, mostRows);
  const left = trees.length - rows.length - (isFolded ? singles.length : 0);
  const largest = Math.max(1e-9, ...trees.map(({ radius }) => radius));
  const kind = group.kind === "dense" ? "full models" : "LoRAs";
  const layers = group.layers.map(({ module, shape }) => `${module} [${shape.rows} × ${shape.columns}]`);
  const compared = `compared by ${layers.length === 1 ? "" : `${layers.length} modules, such as `}`;
  const parts = [
    `<line class="rule" x1="${margin}" x2="${width - margin}" y1="${top}" y2="${top}"/>`,
    text(margin, top + 27, `${count(group.locations.length, "model")}, ${kind}`, 'class="head"'),
    text(margin, top + 48, compared + shortenName(layers[0] ?? "", 60 - compared.length), 'class="axis"'),
    text(chartLeft, top + 27, "distance from the tree's centre", 'class="axis"'),
    text(chartLeft, top + 48, "0", 'class="axis"'),
    text(chartLeft + chartWidth, top + 48, toPercent(largest), 'class="axis" text-anchor="end"'),
    text(namesLeft, top + 48, "nearest to the centre", 'class="axis"'),
  ];
  let y = top + 58;
  const places = new Map<number, { readonly x: number; readonly y: number }>();
  for (const tree of rows) {
    const parent = tree.parent === undefined ? undefined : places.get(tree.parent);
    const x = parent === undefined ? margin : Math.min(parent.x + indent, margin + 4 * indent);
    places.set(tree.id, { x, y });
    if (parent !== undefined) {
      parts.push(`<path class="link" d="M${parent.x + 9} ${parent.y + 44}V${y + 25}H${x}"/>`);
    }
    parts.push(...toRow(tree, folder, x, y, largest));
    y += rowHeight;
  }
  if (left > 0) {
    parts.push(text(margin, y + 22, `and ${left} smaller trees`, 'class="soft"'));
    y += 36;
  }
  if (isFolded) {
    const shown = singles.slice(0, names).map((tree) => toNames(tree, folder)[0] ?? "");
    parts.push(text(margin, y + 30, `${count(singles.length, "tree")} of one model each`, 'class="name"'));
    parts.push(...shown.map((name, at) => text(namesLeft, y + 16 + 17 * at, name, 'class="file"')));
    y += rowHeight;
  }
  return { parts, bottom: y + 14 };
}

function isSingle({ total, parent }: DiscoveredTree): boolean {
  return total === 1 && parent === undefined;
}

function toRow(tree: DiscoveredTree, folder: string, x: number, y: number, largest: number): string[] {
  const { id, members, total, parent, median, radius } = tree;
  const colour = parent === undefined ? "bar" : "nested";
  const size = Math.min(9, 3 + Math.log10(total) * 2);
  const more = total > members.length ? `, ${total - members.length} of them nested` : "";
  const spread =
    members.length > 1 ? `median ${toPercent(median)}, farthest ${toPercent(radius)}` : "unlike all others";
  return [
    `<circle class="${colour}" cx="${x + 9}" cy="${y + 25}" r="${size.toFixed(1)}"/>`,
    text(x + 26, y + 23, `tree ${id}: ${count(total, "model")}${more}`, 'class="name"'),
    text(x + 26, y + 42, spread, 'class="file"'),
    ...toHistogram(tree, colour, y + 8, largest),
    ...toNames(tree, folder).map((name, at) => text(namesLeft, y + 16 + 17 * at, name, 'class="file"')),
  ];
}

/** Bars as high as the square root of their models: one model is seen beside a hundred. */
function toHistogram({ members }: DiscoveredTree, colour: string, y: number, largest: number): string[] {
  const counts = new Array<number>(bins).fill(0);
  for (const { distance } of members) {
    const bin = Math.min(bins - 1, Math.floor((distance / largest) * bins));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const most = Math.sqrt(Math.max(...counts));
  const step = chartWidth / bins;
  const base = y + chartHeight;
  const bars = counts.flatMap((models, bin) => {
    if (models === 0) return [];
    const height = Math.max(2, (chartHeight * Math.sqrt(models)) / most);
    return [
      `M${(chartLeft + bin * step).toFixed(1)} ${base}v${(-height).toFixed(1)}h${(step - 1).toFixed(1)}V${base}z`,
    ];
  });
  return [
    `<path class="${colour}" d="${bars.join("")}"/>`,
    `<line class="rule" x1="${chartLeft}" x2="${chartLeft + chartWidth}" y1="${base}" y2="${base}"/>`,
  ];
}

function toNames({ members, group }: DiscoveredTree, folder: string): string[] {
  return members
    .slice(0, names)
    .map(({ model }) => shortenName((group.locations[model] ?? "").slice(folder.length), nameLength));
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${toXml(content)}</text>`;
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Per cent with two digits or so. */
function toPercent(share: number): string {
  return `${(100 * share).toFixed(share >= 0.0995 ? 0 : 1)} %`;
}
