import type { ForeignLayer, LoraPair } from "../weights/lora-pairs.js";
import type { ModelDescription } from "./model-description.js";
import { formatBytes } from "./size.js";
import { type Column, fitWidth, keepEnd, toHeading, toPlain, toRow, toRule } from "./table.js";

/** A table of models that is written while they are read. */
export interface DescriptionTable {
  /** Lines before the first. */
  readonly heading: readonly string[];
  toLine(description: ModelDescription): string;
}

const columns: readonly Column[] = [
  { title: "file" },
  { title: "size", align: "right" },
  { title: "tensors", align: "right" },
  { title: "dtypes" },
  { title: "LoRA" },
];

/** One line per model; with experts, those that fit it are named. */
export function createDescriptionTable(locations: readonly string[], hasExperts: boolean): DescriptionTable {
  const shown = hasExperts ? [...columns, { title: "experts that fit" }] : columns;
  const fileWidth = fitWidth(locations);
  const widths = [fileWidth, 8, 7, 8, 22, 16].slice(0, shown.length);
  return {
    heading: [toHeading(shown, widths), toRule(widths)],
    toLine: ({ file, bytes, tensors, lora, foreign, experts }) => {
      const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(", ");
      const fitting = experts.filter(({ fits }) => fits).map(({ expert }) => expert);
      return toRow(shown, widths, [
        keepEnd(toPlain(file), fileWidth),
        formatBytes(bytes),
        String(tensors.length),
        toPlain(dtypes) || "-",
        toLoraCell(lora, foreign),
        ...(hasExperts ? [toPlain(fitting.join(", ")) || "none"] : []),
      ]);
    },
  };
}

/** `4 modules, rank 8`, or `12 modules, rank 4 to 16`; of an adapter that is not read, its kind: `LoKr, not read`. */
function toLoraCell(lora: readonly LoraPair[], foreign: readonly ForeignLayer[]): string {
  const [other] = foreign;
  if (other !== undefined) return `${other.kind}, not read`;
  if (lora.length === 0) return "-";
  const ranks = lora.map(({ rank }) => rank);
  const least = ranks.reduce((a, b) => Math.min(a, b));
  const most = ranks.reduce((a, b) => Math.max(a, b));
  return `${lora.length} module${lora.length === 1 ? "" : "s"}, rank ${least === most ? least : `${least} to ${most}`}`;
}
