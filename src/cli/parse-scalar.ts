import { InvalidArgumentError } from "commander";
import type { Scalar } from "../vectors/filter.js";

/** Numbers as JSON has them: 007 and 1.2.3 are names of something. */
const numberForm = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i;

/**
 * The value that a word of the command line or a cell of a table stands for: a number, `true`, `false`, or else a text.
 * A text in double quotes is one whatever stands in it, and so is a number that would not come back as it is: an id of
 * twenty digits.
 */
export function parseScalar(word: string): Scalar {
  if (word === "true") return true;
  if (word === "false") return false;
  if (/^".*"$/s.test(word)) return parseQuoted(word) ?? word;
  if (!numberForm.test(word)) return word;
  const number = Number(word);
  if (!Number.isFinite(number)) return word;
  return /^-?\d+$/.test(word) && !Number.isSafeInteger(number) ? word : number;
}

/** The text between double quotes, escaped as in JSON; undefined if it is not well formed. */
function parseQuoted(quoted: string): string | undefined {
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A field with its value. */
export interface Assignment {
  readonly name: string;
  readonly value: Scalar;
}

/** Reads `name=value`; the name is what stands before the first `=`, and may begin with `meta.`. */
export function parseAssignment(text: string): Assignment {
  const at = text.indexOf("=");
  const name = toFieldName(text.slice(0, Math.max(0, at)).trim());
  if (name !== "") return { name, value: parseScalar(text.slice(at + 1).trim()) };
  throw new InvalidArgumentError(
    "What is known of a model is NAME=VALUE, for example license=mit, rank=16, nsfw=false, 'version=\"1.0\"' (a text).",
  );
}

/** The name of a field of metadata, with or without the `meta.` that filters put before it. */
export function toFieldName(word: string): string {
  return word.startsWith("meta.") ? word.slice("meta.".length) : word;
}

/** Adds `name=value` to the metadata so far. */
export function collectMetadata(text: string, metadata: Readonly<Record<string, Scalar>> = {}): Record<string, Scalar> {
  const { name, value } = parseAssignment(text);
  // Not by assignment: a field may be called __proto__.
  return Object.fromEntries([...Object.entries(metadata), [name, value]]);
}
