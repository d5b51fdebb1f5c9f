import { isUtf8 } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { InvalidInputError, LimitExceededError, ProbestreamError } from "../../errors/probestream-error.js";
import { toFileError } from "../../weights/to-file-error.js";
import type { LabelEntries, LabelFile, LabelRow, MalformedLine } from "./label-file.js";
import { parseCsvEntries } from "./parse-csv-entries.js";
import { parseJsonEntries } from "./parse-json-entries.js";
import { toLabelRow } from "./to-label-row.js";

/** 256 MiB: a million rows with a caption each take about as much. */
const maxBytes = 256 * 1024 ** 2;

/** Options of {@link readLabelFile}. */
export interface LabelFileOptions {
  /** Between the labels of a row that has several; lists need none. */
  readonly separator?: string;
  readonly signal?: AbortSignal;
}

/**
 * Reads a file that says of models what they are: CSV (`.csv`) or JSON lines (`.jsonl`, `.ndjson`), UTF-8, with or
 * without a byte order mark. What `toLabelRow` says of the fields goes for both. Lines that are no rows are named with
 * their reason; the others are read.
 *
 * Memory: the file, 256 MiB at most, and its rows.
 *
 * @throws InvalidInputError `FIELD_INVALID` if the file is neither of the two, not UTF-8, or has no such columns,
 * LimitExceededError `LIMIT_EXCEEDED` if it is longer, NotFoundError `FILE_NOT_FOUND`, AccessDeniedError `ACCESS_DENIED`.
 */
export async function readLabelFile(path: string, { separator, signal }: LabelFileOptions = {}): Promise<LabelFile> {
  const parse = parsers[extname(path).toLowerCase()];
  if (parse === undefined) {
    throw new InvalidInputError("FIELD_INVALID", `"${path}" must be called .csv, or .jsonl if it holds JSON lines`);
  }
  const bytes = await readBytes(path, signal);
  if (!isUtf8(bytes)) {
    throw new InvalidInputError("FIELD_INVALID", `"${path}" is not UTF-8; save it in that encoding`);
  }
  const { entries, malformed } = orName(path, () => parse(hasMark(bytes) ? bytes.subarray(3) : bytes));
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

const parsers: Readonly<Record<string, (bytes: Uint8Array) => LabelEntries>> = {
  ".csv": parseCsvEntries,
  ".jsonl": (bytes) => parseJsonEntries(new TextDecoder().decode(bytes)),
  ".ndjson": (bytes) => parseJsonEntries(new TextDecoder().decode(bytes)),
};

async function readBytes(path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new LimitExceededError(
        "LIMIT_EXCEEDED",
        `"${path}" has ${size} bytes; label files have ${maxBytes} at most`,
      );
    }
    return await readFile(path, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof ProbestreamError ? error : toFileError(error, path);
  }
}

function hasMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** An error of the file as a whole names it. */
function orName(path: string, parse: () => LabelEntries): LabelEntries {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause;
    throw new InvalidInputError(cause.reason, `"${path}": ${cause.message}`, cause.facts, { cause });
  }
}
