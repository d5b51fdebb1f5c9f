import { basename, dirname, resolve } from "node:path";
import type { LabelFile, LabelRow, RowContent } from "./label-file.js";

/** What is wrong with a row, or a line that is none. */
export interface RowProblem {
  readonly kind: "absent-file" | "malformed" | "repeated";
  readonly line: number;
  readonly reason: string;
}

/** What a model's rows say of it: one row, or several that agree; or that they do not. */
export type ModelRow = RowContent | { readonly kind: "contradiction"; readonly reason: string };

/** Rows by the model that they are about. */
export interface MatchedRows {
  /** By location. Models without a row are absent. */
  readonly rows: ReadonlyMap<string, ModelRow>;
  readonly problems: readonly RowProblem[];
}

/**
 * Finds the model that each row of a label file is about. A row's path is absolute, or below the folder, or else below
 * the folder that the label file lies in. Rows for one model that say the same count once; of others the model learns
 * that they contradict each other.
 *
 * Memory: a resolved path per location and per row.
 */
export function matchLabelRows(labelFile: LabelFile, folder: string, locations: readonly string[]): MatchedRows {
  const known = new Map(locations.map((location) => [resolve(location), location]));
  const bases = [folder, dirname(labelFile.path)];
  const file = basename(labelFile.path);
  const problems: RowProblem[] = labelFile.malformed.map((line) => ({ kind: "malformed", ...line }));
  const groups = new Map<string, LabelRow[]>();
  for (const row of labelFile.rows) {
    const location = bases.map((base) => known.get(resolve(base, row.path))).find((found) => found !== undefined);
    const group = location === undefined ? undefined : groups.get(location);
    if (location === undefined)
      problems.push({ kind: "absent-file", line: row.line, reason: JSON.stringify(row.path) });
    else if (group === undefined) groups.set(location, [row]);
    else group.push(row);
  }
  const rows = new Map<string, ModelRow>();
  for (const [location, group] of groups) {
    const [first, ...others] = group as [LabelRow, ...LabelRow[]];
    const text = JSON.stringify(first.content);
    const differing = others.filter(({ content }) => JSON.stringify(content) !== text);
    if (differing.length > 0) {
      const lines = group.map(({ line }) => line);
      rows.set(location, { kind: "contradiction", reason: `${toLinesText(lines)} of ${file} contradict each other` });
      continue;
    }
    rows.set(location, toNamed(first, file));
    for (const { line, path } of others) {
      problems.push({ kind: "repeated", line, reason: `${JSON.stringify(path)}, as line ${first.line} says` });
    }
  }
  return { rows, problems: problems.sort((a, b) => a.line - b.line) };
}

/** A row's problem, with the row's place. */
function toNamed({ line, content }: LabelRow, file: string): RowContent {
  return "labels" in content ? content : { ...content, reason: `line ${line} of ${file} ${content.reason}` };
}

/** Lines that are named. */
const mostLines = 5;

function toLinesText(lines: readonly number[]): string {
  const named = lines.slice(0, mostLines);
  if (lines.length > mostLines) return `lines ${named.join(", ")} and ${lines.length - mostLines} more`;
  return `lines ${named.slice(0, -1).join(", ")} and ${named.at(-1)}`;
}
