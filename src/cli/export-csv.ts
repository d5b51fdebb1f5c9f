import type { FullRecord } from "../retrieval/retrieval-port.js";
import { ownFieldNames, toFieldText } from "./field-text.js";

/** The first line of a table of records: their own fields, then those of the space (`meta.…`, `claim.…`). */
export function toCsvHead(fields: readonly string[]): string {
  return [...ownFieldNames.map((name) => name.replace(/_ms$/, "")), ...fields].map(toCell).join(",");
}

/** A record as a line of CSV (RFC 4180), without its representation; times in ISO 8601. */
export function toCsvLine(record: FullRecord, fields: readonly string[]): string {
  return [...ownFieldNames, ...fields].map((field) => toCell(toFieldText(record, field))).join(",");
}

function toCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
