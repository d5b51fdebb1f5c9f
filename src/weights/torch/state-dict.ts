import { LimitExceededError } from "../../errors/probestream-error.js";
import { malformedPickle } from "./pickle-errors.js";
import { PickleTensor, type PickleValue } from "./pickle-values.js";

/** The tensors of a checkpoint by their names, and what else it says in plain words. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, PickleTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Keys under which trainers put the model, beside its optimiser and what else they need. */
const wrappers = ["state_dict", "model_state_dict", "model", "module", "params", "weights"] as const;

/** Dicts inside dicts at most; state dicts in use have one, of optimisers three. */
const MAX_DEPTH = 16;

/** Values that are looked at: a dict may be referred to again and again by a few bytes. */
const MAX_VALUES = 2_000_000;

/** Characters of a text that is kept as metadata. */
const MAX_METADATA_CHARACTERS = 1024;

/**
 * Finds the state dict in what a checkpoint's pickle is made of: itself where it has tensors, else what lies under
 * `state_dict`, `model` and the like. Dicts in dicts get names joined by dots.
 *
 * @throws InvalidInputError `HEADER_MALFORMED` where there is no dict, LimitExceededError `LIMIT_EXCEEDED`.
 */
export function toStateDict(root: PickleValue, file: string): StateDict {
  if (!(root instanceof Map)) throw malformedPickle(file, "it holds no dict of tensors");
  const metadata = new Map<string, string>();
  let dict = root;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    collectMetadata(dict, metadata);
    const inner = [...dict.values()].some((value) => value instanceof PickleTensor) ? undefined : unwrap(dict);
    if (inner === undefined) break;
    dict = inner;
  }
  const tensors = new Map<string, PickleTensor>();
  let looked = 0;
  const walk = (map: ReadonlyMap<PickleValue, PickleValue>, prefix: string, depth: number): void => {
    for (const [key, value] of map) {
      looked += 1;
      if (looked > MAX_VALUES || depth > MAX_DEPTH) {
        const message = `The dict in "${file}" is larger than ${MAX_VALUES} values or deeper than ${MAX_DEPTH}. Save the model's state dict alone.`;
        throw new LimitExceededError("LIMIT_EXCEEDED", message, { file, maxValues: MAX_VALUES, maxDepth: MAX_DEPTH });
      }
      if (typeof key !== "string" && typeof key !== "number") continue;
      if (value instanceof PickleTensor) tensors.set(prefix + key, value);
      else if (value instanceof Map) walk(value, `${prefix}${key}.`, depth + 1);
    }
  };
  walk(dict, "", 1);
  return { tensors, metadata };
}

function unwrap(dict: ReadonlyMap<PickleValue, PickleValue>): Map<PickleValue, PickleValue> | undefined {
  for (const key of wrappers) {
    const inner = dict.get(key);
    if (inner instanceof Map) return inner;
  }
  return undefined;
}

function collectMetadata(dict: ReadonlyMap<PickleValue, PickleValue>, metadata: Map<string, string>): void {
  for (const [key, value] of dict) {
    if (typeof key !== "string" || metadata.has(key)) continue;
    const isPlain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    if (isPlain) metadata.set(key, String(value).slice(0, MAX_METADATA_CHARACTERS));
  }
}
