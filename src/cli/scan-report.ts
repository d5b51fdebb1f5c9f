import type { RowProblem } from "../training/datasets/match-label-rows.js";
import type { Dataset, RefusalKind } from "../training/datasets/scan-dataset.js";
import { splitNames } from "../training/datasets/split-names.js";
import { toGroupLines } from "./group-lines.js";
import { type Column, toTable } from "./table.js";

const columns: readonly Column[] = [
  { title: "split" },
  { title: "models", align: "right" },
  { title: "labels", align: "right" },
  { title: "for example" },
];

/** Labels that are named. */
const examples = 5;

const refusalTitles: Readonly<Record<RefusalKind, string>> = {
  unreadable: "files that cannot be read",
  "no-label": "files without a label",
  "unknown-split": "files of an unknown split",
  contradiction: "files whose rows contradict each other",
  "no-row": "files without a row",
};

const rowTitles: Readonly<Record<RowProblem["kind"], string>> = {
  "absent-file": "rows that name no model of the folder",
  malformed: "malformed lines",
  repeated: "rows that repeat an earlier one, taken once",
};

/** What a folder of models holds: splits with their labels, and what cannot be used. */
export function toScanLines({ models, refused, rowProblems, splitSource, splitsFound }: Dataset): string[] {
  const rows = splitNames.flatMap((split) => {
    const own = models.filter((model) => model.split === split);
    if (own.length === 0) return [];
    const labels = [...new Set(own.flatMap((model) => model.labels))].sort();
    const more = labels.length > examples ? ", …" : "";
    return [[split, String(own.length), String(labels.length), labels.slice(0, examples).join(", ") + more]];
  });
  const ignored = splitsFound > 0 ? `, as only ${splitsFound} models say theirs` : "";
  return [
    `${models.length} models with labels; splits ${splitSource === "files" ? "as the files say" : `made by lot${ignored}`}`,
    ...(rows.length > 0 ? toTable(columns, rows) : []),
    ...toGroupLines({
      titles: refusalTitles,
      members: refused.map(({ kind, path, reason }) => ({ kind, text: `${path}: ${reason}` })),
    }),
    ...toGroupLines({
      titles: rowTitles,
      members: rowProblems.map(({ kind, line, reason }) => ({ kind, text: `line ${line}: ${reason}` })),
    }),
  ];
}

/** Whether something of what a folder or its label file holds cannot be used. A row that is there twice can. */
export function hasUnusable({ refused, rowProblems }: Dataset): boolean {
  return refused.length > 0 || rowProblems.some(({ kind }) => kind !== "repeated");
}
