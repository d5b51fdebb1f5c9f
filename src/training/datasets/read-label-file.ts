import { ProbestreamError } from "../../errors/probestream-error.js";
import type { LabelFile, LabelRow, MalformedLine } from "./label-file.js";
import { toLabelColumns } from "./parse-csv-entries.js";
import { readEntryFile } from "./read-entry-file.js";
import { toLabelRow } from "./to-label-row.js";

/** Options of {@link readLabelFile}. */
export interface LabelFileOptions {
  /** Between the labels of a row that has several; lists need none. */
  readonly separator?: string;
  readonly signal?: AbortSignal;
}

/**
 * Reads a file that says of models what they are: CSV or JSON lines, as `readEntryFile` reads them. What `toLabelRow` says
 * of the fields goes for both. Lines that are no rows are named with their reason; the others are read.
 *
 * Memory: the file, 256 MiB at most, and its rows.
 *
 * @throws what `readEntryFile` throws.
 */
export async function readLabelFile(path: string, { separator, signal }: LabelFileOptions = {}): Promise<LabelFile> {
  const { entries, malformed } = await readEntryFile(path, { toColumns: toLabelColumns, signal });
  const rows: LabelRow[] = [];
  const wrong: MalformedLine[] = [...malformed];
  for (const entry of entries) {
    try {
      rows.push(toLabelRow(entry, separator));
    } catch (error) {
      if (!(error instanceof ProbestreamError)) throw error;
      wrong.push({ line: entry.line, reason: error.message });
    }
  }
  return { path, rows, malformed: wrong.sort((a, b) => a.line - b.line) };
}
