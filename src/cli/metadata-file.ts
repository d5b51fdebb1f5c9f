import { basename, dirname, extname, resolve } from "node:path";
import { InvalidInputError, ProbestreamError } from "../errors/probestream-error.js";
import type { LabelEntry } from "../training/datasets/label-file.js";
import { readEntryFile } from "../training/datasets/read-entry-file.js";
import type { Scalar } from "../vectors/filter.js";
import { usageError } from "./exit-codes.js";
import { parseScalar, toFieldName } from "./parse-scalar.js";

/** What a file says of models. */
export interface MetadataFile {
  /** What it says of a model, by its location or its id; the row is counted as used. */
  find(location: string, id: string): Readonly<Record<string, Scalar>> | undefined;
  /** Rows that no model was found for so far: line and path. */
  unused(): readonly { readonly line: number; readonly path: string }[];
  /** Lines and rows that are not used for what is wrong with them. */
  readonly problems: readonly { readonly line: number; readonly reason: string }[];
}

/** Column or key of the model's path. */
const pathName = "path";

interface Row {
  readonly line: number;
  readonly path: string;
  readonly metadata: Readonly<Record<string, Scalar>>;
}

/**
 * Reads `--metadata`: a CSV file whose first line names the columns, one of them `path`, or JSON lines with a `path` each.
 * All other columns become metadata: cells as {@link parseScalar} reads them, JSON values as they are, lists of
 * texts joined by ", "; empty ones not at all. A path is absolute, or below the folder that the file lies in, or below the current
 * one, or a model's id. Of several rows for one model the last counts.
 *
 * @throws CommandError if it cannot be read or has no path.
 */
export async function readMetadataFile(path: string, signal: AbortSignal): Promise<MetadataFile> {
  const { entries, malformed } = await readEntryFile(path, { toColumns, signal }).catch((error: unknown) => {
    throw error instanceof ProbestreamError ? usageError(`--metadata: ${error.message}`) : error;
  });
  const isTyped = extname(path).toLowerCase() !== ".csv";
  const problems = [...malformed];
  const rows = new Map<string, Row>();
  const used = new Set<Row>();
  const byPlace = new Map<string, Row>();
  for (const entry of entries) {
    const row = toRow(entry, isTyped ? (text) => text : parseScalar);
    if (typeof row === "string") {
      problems.push({ line: entry.line, reason: row });
      continue;
    }
    const earlier = rows.get(row.path);
    if (earlier !== undefined) {
      problems.push({
        line: earlier.line,
        reason: `${JSON.stringify(row.path)} again in line ${row.line}, which counts`,
      });
    }
    rows.set(row.path, row);
  }
  // What `find .` prints is an id behind "./".
  const byId = new Map([...rows.values()].map((row) => [row.path.replace(/^(?:\.\/+)+/, ""), row]));
  for (const row of rows.values()) {
    byPlace.set(resolve(row.path), row);
    byPlace.set(resolve(dirname(path), row.path), row);
  }
  return {
    find: (location, id) => {
      const row = rows.get(location) ?? byPlace.get(resolve(location)) ?? rows.get(id) ?? byId.get(id);
      if (row !== undefined) used.add(row);
      return row?.metadata;
    },
    unused: () => [...rows.values()].filter((row) => !used.has(row)),
    problems,
  };

  function toColumns(cells: readonly string[]): readonly string[] {
    const names = cells.map((cell) => toFieldName(cell.trim()));
    const repeated = names.find((name, column) => name !== "" && names.indexOf(name) !== column);
    if (names.includes(pathName) && repeated === undefined) return names;
    const wrong = repeated === undefined ? 'one of them must be "path"' : `"${repeated}" stands there twice`;
    const found = cells.map((cell) => JSON.stringify(cell.slice(0, 40))).join(", ");
    throw new InvalidInputError(
      "FIELD_INVALID",
      `the first line of ${basename(path)} names the columns ${found}; ${wrong}`,
    );
  }
}

/** A row, or what is wrong with it. */
function toRow({ line, fields }: LabelEntry, parse: (text: string) => Scalar): Row | string {
  const path = fields.get(pathName);
  if (typeof path !== "string" || path.trim() === "") return "no path";
  const metadata: [string, Scalar][] = [];
  for (const [name, value] of fields) {
    if (name === pathName || name === "" || value === null) continue;
    const scalar = typeof value === "string" ? parse(value.trim()) : toScalar(value);
    if (scalar === undefined) return `${JSON.stringify(name)} is neither text, number, truth nor a list of texts`;
    if (scalar !== "") metadata.push([toFieldName(name), scalar]);
  }
  return { line, path: path.trim(), metadata: Object.fromEntries(metadata) };
}

function toScalar(value: unknown): Scalar | undefined {
  if (typeof value === "number" || typeof value === "boolean") return value;
  return Array.isArray(value) && value.every((part) => typeof part === "string") ? value.join(", ") : undefined;
}
