import { isUtf8 } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { InvalidInputError, LimitExceededError, ProbestreamError } from "../../errors/probestream-error.js";
import { toFileError } from "../../weights/to-file-error.js";
import type { LabelEntries } from "./label-file.js";
import { parseCsvEntries, type ToColumns } from "./parse-csv-entries.js";
import { parseJsonEntries } from "./parse-json-entries.js";

/** 256 MiB: a million rows with a caption each take about as much. */
const maxBytes = 256 * 1024 ** 2;

/** Options of {@link readEntryFile}. */
export interface EntryFileOptions {
  /** Names the columns of a CSV file by the cells of its first line, or throws InvalidInputError. */
  readonly toColumns: ToColumns;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a file of entries about models: CSV (`.csv`) or JSON lines (`.jsonl`, `.ndjson`), UTF-8, with or without a byte
 * order mark. Lines that are no entries are named with their reason; the others are read.
 *
 * Memory: the file, 256 MiB at most, and its entries.
 *
 * @throws InvalidInputError `FIELD_INVALID` if the file is neither of the two, not UTF-8, or has other columns,
 * LimitExceededError `LIMIT_EXCEEDED` if it is longer, NotFoundError `FILE_NOT_FOUND`, AccessDeniedError `ACCESS_DENIED`.
 */
export async function readEntryFile(path: string, { toColumns, signal }: EntryFileOptions): Promise<LabelEntries> {
  const extension = extname(path).toLowerCase();
  if (![".csv", ".jsonl", ".ndjson"].includes(extension)) {
    throw new InvalidInputError("FIELD_INVALID", `"${path}" must be called .csv, or .jsonl if it holds JSON lines`);
  }
  const bytes = await readBytes(path, signal);
  if (!isUtf8(bytes)) {
    throw new InvalidInputError("FIELD_INVALID", `"${path}" is not UTF-8; save it in that encoding`);
  }
  const content = hasMark(bytes) ? bytes.subarray(3) : bytes;
  if (extension !== ".csv") return parseJsonEntries(new TextDecoder().decode(content));
  try {
    return parseCsvEntries(content, toColumns);
  } catch (cause) {
    // An error of the file as a whole names it.
    if (!(cause instanceof InvalidInputError)) throw cause;
    throw new InvalidInputError(cause.reason, `"${path}": ${cause.message}`, cause.facts, { cause });
  }
}

async function readBytes(path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new LimitExceededError(
        "LIMIT_EXCEEDED",
        `"${path}" has ${size} bytes; files of entries about models have ${maxBytes} at most`,
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
