import type { FullRecord } from "../retrieval/retrieval-port.js";

/** Columns that every record has. */
const ownColumns = ["id", "tree", "base", "weights_hash", "file_hash", "created", "updated"] as const;

/** The first line of a table of records: their own columns, then those of the space's fields (`meta.…`, `claim.…`). */
export function toCsvHead(fields: readonly string[]): string {
  return [...ownColumns, ...fields].map(toCell).join(",");
}

/** A record as a line of CSV (RFC 4180), without its representation. */
export function toCsvLine(record: FullRecord, fields: readonly string[]): string {
  const own = [
    ...[record.id, record.tree, record.base, record.weightsHash, record.fileHash],
    ...[new Date(record.createdMs).toISOString(), new Date(record.updatedMs).toISOString()],
  ];
  return [...own, ...fields.map((field) => toFieldText(record, field))].map(toCell).join(",");
}

function toFieldText({ metadata, claims }: FullRecord, field: string): string {
  const at = field.indexOf(".");
  const from: Readonly<Record<string, unknown>> = field.startsWith("meta.") ? metadata : claims;
  const name = field.slice(at + 1);
  return Object.hasOwn(from, name) ? String(from[name]) : "";
}

function toCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
