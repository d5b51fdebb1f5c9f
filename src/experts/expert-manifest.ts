import { InvalidInputError } from "../errors/probestream-error.js";
import type { LayerSpec } from "../weights/layer.js";
import type { Objective } from "./checkpoint.js";

/** What `expert.json` says; keys it does not know are kept in `extra`. */
export interface ExpertManifest {
  readonly objective: Objective;
  /** File name of the state dict, inside the folder. */
  readonly weights: string;
  readonly layer: LayerSpec;
  /** The text encoder it compares with; absent means no text search. */
  readonly text?: { readonly encoder: string; readonly prompt: string };
  /** Label bank; may be empty. */
  readonly labels: readonly string[];
  /** Everything else, unread. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Format that `expert.json` names. */
export const expertFormat = "probestream-expert/1";

const layouts = ["linear", "transposed", "conv", "vector"] as const;

/** Bytes of `expert.json` at most; the largest label bank seen (21,000 ImageNet names) takes 0.5 MB. */
export const maxManifestBytes = 16 * 1024 * 1024;

/**
 * Reads the text of an `expert.json`.
 *
 * @param where the file's path, for messages.
 * @throws InvalidInputError `HEADER_MALFORMED`, naming the key, what it holds and what it must hold.
 */
export function parseExpertManifest(text: string, where: string): ExpertManifest {
  const root = toObject(parseJson(text, where), where, "the file");
  const { format, objective, weights, layer, shape, text: textEncoder, labels, ...extra } = root;
  if (format !== expertFormat) throw wrong(where, "format", format, `"${expertFormat}"`);
  const spec = toObject(layer, where, "layer");
  const [rows, columns] = toPair(shape, where, "shape", 1);
  const slice = spec["rows"] === undefined ? undefined : toPair(spec["rows"], where, "layer.rows", 0);
  if (slice !== undefined && slice[1] - slice[0] !== rows) {
    throw wrong(where, "layer.rows", slice, `a range of ${rows} rows, as "shape" says`);
  }
  const kind = toChoice(spec["kind"], where, "layer.kind", ["dense", "lora"]);
  const layout = toChoice(spec["layout"] ?? "linear", where, "layer.layout", layouts);
  if (kind === "lora" && layout !== "linear") throw wrong(where, "layer.layout", layout, '"linear" for a LoRA layer');
  if (layout === "vector" && columns !== 1) throw wrong(where, "shape", shape, "[n, 1] for a vector layer");
  return {
    objective: toChoice(objective, where, "objective", ["zeroshot", "classification"]),
    weights: toFileName(weights, where),
    layer: {
      module: toText(spec["module"], where, "layer.module"),
      kind,
      layout,
      // A folder that does not say was written by hand for the authors' code, which ignores the scale.
      loraScale: toChoice(spec["loraScale"] ?? "none", where, "layer.loraScale", ["none", "apply"]),
      shape: { rows, columns },
      ...(slice !== undefined && { rows: { begin: slice[0], end: slice[1] } }),
    },
    labels: toLabels(labels, where),
    ...(textEncoder !== undefined && { text: toTextEncoder(textEncoder, where) }),
    extra,
  };
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError("HEADER_MALFORMED", `${where} is not JSON: ${String(cause)}`, {}, { cause });
  }
}

function toTextEncoder(value: unknown, where: string): { encoder: string; prompt: string } {
  const { encoder, prompt = "{}" } = toObject(value, where, "text");
  const digest = toText(encoder, where, "text.encoder");
  if (!/^[0-9a-f]{64}$/.test(digest)) throw wrong(where, "text.encoder", digest, "a SHA-256 in lower-case hexadecimal");
  return { encoder: digest, prompt: toText(prompt, where, "text.prompt") };
}

function toLabels(value: unknown, where: string): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong(where, "labels", value, "a list of names");
  return value.map((label, index) => toText(label, where, `labels[${index}]`));
}

function toFileName(value: unknown, where: string): string {
  const name = toText(value, where, "weights");
  if (/[/\\\0]/.test(name) || name.startsWith("..")) throw wrong(where, "weights", name, "a file name in the folder");
  return name;
}

function toObject(value: unknown, where: string, key: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(where, key, value, "an object");
  return value as Record<string, unknown>;
}

function toText(value: unknown, where: string, key: string): string {
  if (typeof value !== "string" || value === "") throw wrong(where, key, value, "a non-empty text");
  return value;
}

function toChoice<T extends string>(value: unknown, where: string, key: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined) throw wrong(where, key, value, choices.map((name) => `"${name}"`).join(" or "));
  return choice;
}

function toPair(value: unknown, where: string, key: string, least: number): [number, number] {
  const [first, second, ...rest] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!isCount(first, least) || !isCount(second, 1) || rest.length > 0) {
    throw wrong(where, key, value, `two whole numbers, from ${least} and 1`);
  }
  return [first, second];
}

function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function wrong(where: string, key: string, found: unknown, allowed: string): InvalidInputError {
  const shown = found === undefined ? "absent" : (JSON.stringify(found) ?? "?").slice(0, 80);
  return new InvalidInputError("HEADER_MALFORMED", `${where}: ${key} is ${shown}; it must be ${allowed}`, { key });
}
