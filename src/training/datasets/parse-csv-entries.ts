import { CsvError, parse } from "csv-parse/sync";
import { InvalidInputError } from "../../errors/probestream-error.js";
import { type LabelEntries, type LabelEntry, labelFields, type MalformedLine } from "./label-file.js";

/** After each malformed line the parser begins anew behind it; a file with more of them is something else. */
const mostMalformed = 100;

const [lineFeed, carriageReturn] = [0x0a, 0x0d];

/** Names the columns by the cells of the first line. @throws InvalidInputError if they are not those that are needed. */
export type ToColumns = (cells: readonly string[]) => readonly string[];

/**
 * Reads a CSV file (RFC 4180: commas, quotes doubled inside quotes; lines end in LF, CRLF or CR) whose first line names
 * the columns. Empty lines are skipped. A malformed line costs nothing but itself: reading goes on with the next.
 *
 * Memory: the entries, besides the bytes.
 *
 * @param bytes UTF-8 without a byte order mark.
 * @throws InvalidInputError `FIELD_INVALID` if the file is empty, or more than 100 lines are malformed; what `toColumns`
 * throws.
 */
export function parseCsvEntries(bytes: Uint8Array, toColumns: ToColumns): LabelEntries {
  const entries: LabelEntry[] = [];
  const malformed: MalformedLine[] = [];
  let names: readonly string[] | undefined;
  const take = (cells: readonly string[], line: number): void => {
    if (cells.every((cell) => cell.trim() === "")) return;
    if (names === undefined) names = toColumns(cells);
    else if (cells.length === names.length) {
      const fields = new Map(names.map((name, column) => [name, cells[column]]));
      entries.push({ line, fields });
    } else {
      malformed.push({ line, reason: `${cells.length} fields; the first line names ${names.length}` });
    }
  };
  const lines = countLines(bytes);
  for (let begin = 0; begin < bytes.length; ) {
    const broken = parsePart(bytes, begin, (cells, at) => take(cells, lines(at)));
    if (broken === undefined) break;
    malformed.push({ line: lines(broken.at), reason: broken.reason });
    begin = findNextLine(bytes, broken.at);
    if (names === undefined || malformed.length > mostMalformed) throw tooMany(malformed);
  }
  if (names === undefined)
    throw new InvalidInputError("FIELD_INVALID", "it is empty; its first line names the columns");
  return { entries, malformed };
}

/** Parses from a byte on; gives where the record begins that cannot be parsed, and why. */
function parsePart(
  bytes: Uint8Array,
  begin: number,
  take: (cells: readonly string[], at: number) => void,
): { readonly at: number; readonly reason: string } | undefined {
  let at = skipLineEnds(bytes, begin);
  try {
    parse(bytes.subarray(begin), {
      // All three, or the first line decides, and a line that ends otherwise runs into the next.
      record_delimiter: ["\r\n", "\n", "\r"],
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: (cells: string[], info) => {
        take(cells, at);
        at = skipLineEnds(bytes, begin + info.bytes);
        return null;
      },
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return { at, reason: toReason(error) };
  }
}

function toReason({ code }: CsvError): string {
  if (code === "CSV_QUOTE_NOT_CLOSED") return "a quote that is not closed";
  if (code === "INVALID_OPENING_QUOTE") return "a quote inside a field that does not begin with one";
  if (code === "CSV_INVALID_CLOSING_QUOTE") return "something behind a closing quote; quotes inside quotes are doubled";
  return code;
}

/**
 * The columns of a label file: `path` and one of `label`, `labels` and `text`, others as they come; in lower case.
 *
 * @throws InvalidInputError `FIELD_INVALID` if they are not there.
 */
export function toLabelColumns(cells: readonly string[]): readonly string[] {
  const names = cells.map((cell) => cell.trim().toLowerCase());
  const columns = names.filter((name) => labelFields.some((field) => field === name));
  if (names.filter((name) => name === "path").length === 1 && columns.length === 1) return names;
  const found = cells.map((cell) => JSON.stringify(cell.slice(0, 40))).join(", ");
  const wanted = `"path" and one of ${labelFields.map((field) => `"${field}"`).join(", ")}, with commas between them`;
  throw new InvalidInputError("FIELD_INVALID", `its first line names the columns ${found}; it must name ${wanted}`);
}

function tooMany(malformed: readonly MalformedLine[]): InvalidInputError {
  const [first] = malformed;
  const found = malformed.length > 1 ? `more than ${mostMalformed} lines are malformed; the first, ` : "";
  return new InvalidInputError("FIELD_INVALID", `${found}line ${first?.line}, has ${first?.reason}`);
}

/** Counts the line of a byte; asked for bytes in rising order, it passes over them once. */
function countLines(bytes: Uint8Array): (at: number) => number {
  let [line, passed] = [1, 0];
  return (at) => {
    for (; passed < at; passed++) if (isLineEnd(bytes, passed)) line++;
    return line;
  };
}

function findNextLine(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && !isLineEnd(bytes, at)) at++;
  return at + 1;
}

/** LF, or a CR without one behind it. */
function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === lineFeed || (bytes[at] === carriageReturn && bytes[at + 1] !== lineFeed);
}

function skipLineEnds(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === lineFeed || bytes[at] === carriageReturn) at++;
  return at;
}
