import type { Split } from "./layer-set.js";

/** What a row says of its model, or what is wrong with it. */
export type RowContent =
  | { readonly labels: readonly string[]; readonly split: Split | undefined }
  | { readonly kind: "no-label" | "unknown-split"; readonly reason: string };

/** A row of a label file. */
export interface LabelRow {
  /** Where it begins; the file's first line is 1. */
  readonly line: number;
  /** As it stands there. */
  readonly path: string;
  readonly content: RowContent;
}

/** A line that cannot be read as a row. */
export interface MalformedLine {
  readonly line: number;
  readonly reason: string;
}

/** What a label file says. */
export interface LabelFile {
  readonly path: string;
  readonly rows: readonly LabelRow[];
  readonly malformed: readonly MalformedLine[];
}

/** Fields of a row by name, before they are looked at: texts of a CSV file, values of a JSON one. */
export interface LabelEntry {
  readonly line: number;
  readonly fields: ReadonlyMap<string, unknown>;
}

/** Entries of a label file, and the lines that are none. */
export interface LabelEntries {
  readonly entries: readonly LabelEntry[];
  readonly malformed: readonly MalformedLine[];
}

/** Fields of which a row has exactly one: a label or several, or a caption. */
export const labelFields = ["label", "labels", "text"] as const;

/** One of {@link labelFields}. */
export type LabelField = (typeof labelFields)[number];
