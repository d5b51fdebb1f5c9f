import type { LabelEntries, LabelEntry, MalformedLine } from "./label-file.js";

/** Reads JSON lines: an object per line; empty lines are skipped. */
export function parseJsonEntries(text: string): LabelEntries {
  const entries: LabelEntry[] = [];
  const malformed: MalformedLine[] = [];
  for (const [index, part] of text.split("\n").entries()) {
    if (part.trim() === "") continue;
    const value = parseJson(part);
    const line = index + 1;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      malformed.push({ line, reason: value === undefined ? "no JSON" : "JSON, but no object" });
    } else {
      entries.push({ line, fields: new Map(Object.entries(value)) });
    }
  }
  return { entries, malformed };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
