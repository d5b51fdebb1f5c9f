import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { InvalidInputError, ProbestreamError } from "../errors/probestream-error.js";
import type { VectorRecord } from "../vectors/vector-record.js";
import { toFileError } from "../weights/to-file-error.js";
import { type ExportHead, type ExportLine, parseExportLine } from "./export-lines.js";

/** An export that is read. */
export interface ExportReader {
  readonly head: ExportHead;
  /**
   * All records, in batches. Once only.
   *
   * @throws InvalidInputError that names the line, for one that is not understood, a representation of another width, and
   * a file that was cut off; the records before it have been given out.
   */
  batches(): AsyncGenerator<readonly VectorRecord[], void, undefined>;
  close(): void;
}

/** Records in a batch, and characters of their lines after which it ends: servers take messages of 4 MiB. */
const [maxRecords, maxCharacters] = [1000, 2 * 1024 ** 2];

/** Characters of a line at most: a record of 65,536 numbers and 128 KiB of text has 0.5 million. */
const maxLineCharacters = 16 * 1024 ** 2;

/**
 * Opens an export of JSON lines as `export` writes it. Memory: a batch.
 *
 * @param path `-` is standard input.
 * @throws InvalidInputError `HEADER_MALFORMED` if its first line is not that of an export; NotFoundError
 * `FILE_NOT_FOUND`, AccessDeniedError `ACCESS_DENIED`.
 */
export async function openExport(path: string): Promise<ExportReader> {
  const source: Readable = path === "-" ? process.stdin : createReadStream(path);
  const shown = path === "-" ? "standard input" : `"${path}"`;
  const lines = readLines(source, path);
  const first = await lines.next();
  const head: ExportLine = first.done === true ? { wrong: "it is empty" } : parseExportLine(first.value.text);
  if (!("head" in head)) {
    source.destroy();
    const why = "wrong" in head ? `: ${head.wrong}` : "";
    const message = `${shown} does not begin with the line that \`probestream export\` writes first${why}`;
    throw new InvalidInputError("HEADER_MALFORMED", message);
  }
  return {
    head: head.head,
    batches: () => toBatches(lines, head.head, shown),
    close: () => {
      source.destroy();
    },
  };
}

interface Line {
  readonly number: number;
  readonly text: string;
}

async function* readLines(source: Readable, path: string): AsyncGenerator<Line, void, undefined> {
  // Pieces of a line that is not whole: joined once, not with each piece anew.
  let parts: string[] = [];
  let characters = 0;
  let number = 0;
  const take = (end: string): Line => {
    const text = parts.join("") + end;
    parts = [];
    characters = 0;
    return { number: ++number, text };
  };
  try {
    for await (const piece of source.setEncoding("utf8") as AsyncIterable<string>) {
      const [first = "", ...others] = piece.split("\n");
      const last = others.pop();
      if (last !== undefined) {
        yield take(first);
        for (const text of others) yield { number: ++number, text };
      }
      const part = last ?? first;
      parts.push(part);
      characters += part.length;
      if (characters > maxLineCharacters) throw tooLong(number + 1);
    }
  } catch (error) {
    throw error instanceof ProbestreamError ? error : toFileError(error, path);
  }
  if (characters > 0) yield take("");
}

function tooLong(number: number): InvalidInputError {
  const message = `line ${number} has more than ${maxLineCharacters} characters; \`probestream export\` writes none so long`;
  return new InvalidInputError("HEADER_MALFORMED", message, { line: number, max: maxLineCharacters });
}

async function* toBatches(
  lines: AsyncIterable<Line>,
  { width }: ExportHead,
  shown: string,
): AsyncGenerator<readonly VectorRecord[], void, undefined> {
  let batch: VectorRecord[] = [];
  let characters = 0;
  let count = 0;
  let isWhole = false;
  for await (const { number, text } of lines) {
    if (text.trim() === "") continue;
    const line: ExportLine = isWhole ? { wrong: "something follows the last line" } : parseExportLine(text);
    const wrong = toWrong(line, width, count);
    if (wrong !== undefined) {
      if (batch.length > 0) yield batch;
      throw new InvalidInputError("FIELD_INVALID", `${shown}, line ${number}: ${wrong}`, { line: number });
    }
    isWhole = "end" in line;
    if (!("record" in line)) continue;
    count++;
    if (batch.length === maxRecords || (batch.length > 0 && characters + text.length > maxCharacters)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(line.record);
    characters += text.length;
  }
  if (batch.length > 0) yield batch;
  if (isWhole) return;
  const message = `${shown} was cut off: its last line, which says how many records there are, is missing after ${count}`;
  throw new InvalidInputError("HEADER_MALFORMED", message, { records: count });
}

function toWrong(line: ExportLine, width: number, count: number): string | undefined {
  if ("wrong" in line) return line.wrong;
  if ("head" in line) return "a first line again; give files one by one";
  if ("end" in line) return line.end === count ? undefined : `it tells of ${line.end} records; there were ${count}`;
  const found = line.record.vector.length;
  if (found === width) return undefined;
  return `the representation of ${JSON.stringify(line.record.id.slice(0, 80))} has ${found} numbers; the first line says ${width}`;
}
