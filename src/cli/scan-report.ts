import type { Split } from "../training/datasets/layer-set.js";
import type { Dataset } from "../training/datasets/scan-dataset.js";
import { type Column, toPlain, toTable } from "./table.js";

const splits: readonly Split[] = ["train", "val", "test", "val_holdout", "test_holdout"];

const columns: readonly Column[] = [
  { title: "split" },
  { title: "models", align: "right" },
  { title: "labels", align: "right" },
  { title: "for example" },
];

/** Labels and refused files that are named. */
const examples = 5;

/** What a folder of models holds: splits with their labels, and what cannot be used. */
export function toScanLines({ models, refused, splitSource }: Dataset): string[] {
  const rows = splits.flatMap((split) => {
    const own = models.filter((model) => model.split === split);
    if (own.length === 0) return [];
    const labels = [...new Set(own.flatMap((model) => model.labels))].sort();
    const more = labels.length > examples ? ", …" : "";
    return [[split, String(own.length), String(labels.length), labels.slice(0, examples).join(", ") + more]];
  });
  return [
    `${models.length} models with labels; splits ${splitSource === "files" ? "as the files say" : "made by lot"}`,
    ...(rows.length > 0 ? toTable(columns, rows) : []),
    ...(refused.length > 0 ? [`${refused.length} files cannot be used:`] : []),
    ...refused.slice(0, examples).map(({ path, reason }) => toPlain(`  ${path}: ${reason}`)),
    ...(refused.length > examples ? [`  … and ${refused.length - examples} more`] : []),
  ];
}
