import { InvalidInputError } from "../../errors/probestream-error.js";
import { type LabelEntry, type LabelField, type LabelRow, labelFields, type RowContent } from "./label-file.js";
import { parseLabels } from "./parse-labels.js";
import { splitNames, toSplit } from "./split-names.js";

/**
 * What an entry of a label file says. `label` and `labels` are one or several: a list, as Python or JSON writes it, or
 * with a separator between them; `text` is one caption, whatever stands in it. Labels keep their spelling, but for white
 * space around them. A `split` that is empty says none.
 *
 * @throws InvalidInputError `FIELD_INVALID` if there is no path, or more than one of the three.
 */
export function toLabelRow({ line, fields }: LabelEntry, separator?: string): LabelRow {
  const path = fields.get("path");
  if (typeof path !== "string" || path.trim() === "") throw wrong("no path");
  const given = labelFields.filter((field) => isGiven(fields.get(field)));
  if (given.length > 1) throw wrong(`${given.map((name) => `"${name}"`).join(" and ")}; a row has one of them`);
  return { line, path, content: toContent(fields, given[0], separator) };
}

function toContent(
  fields: LabelEntry["fields"],
  field: LabelField | undefined,
  separator: string | undefined,
): RowContent {
  let labels: string[];
  try {
    labels = field === undefined ? [] : toLabels(field, fields.get(field), separator);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    return { kind: "no-label", reason: `cannot be read: ${error.message}` };
  }
  if (labels.length === 0) return { kind: "no-label", reason: "has no label" };
  const name = fields.get("split");
  if (!isGiven(name)) return { labels, split: undefined };
  const split = typeof name === "string" ? toSplit(name.trim()) : undefined;
  if (split !== undefined) return { labels, split };
  const reason = `has the split ${JSON.stringify(name)?.slice(0, 80)}; splits are ${splitNames.join(", ")}`;
  return { kind: "unknown-split", reason };
}

function toLabels(field: LabelField, value: unknown, separator: string | undefined): string[] {
  if (Array.isArray(value) && field !== "text") {
    return [...new Set(value.map((label) => toText(field, label).trim()).filter((label) => label !== ""))];
  }
  const text = toText(field, value);
  if (field !== "text") return parseLabels(text, separator);
  return text.trim() === "" ? [] : [text.trim()];
}

function toText(field: LabelField, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw wrong(`its "${field}" is neither text nor number`);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && !(typeof value === "string" && value.trim() === "");
}

function wrong(found: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", found);
}
