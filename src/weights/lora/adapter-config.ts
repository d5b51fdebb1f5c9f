import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import { type JsonObject, type JsonValue, parseJson } from "../json-reader.js";
import { quoteName } from "../quote-name.js";
import type { PatternBudget } from "./name-pattern.js";
import { createPatternTable, type PatternTable } from "./pattern-table.js";

/** 1 MiB: a rank for each of 10,000 modules. Without patterns a configuration of PEFT has 1 kB. */
export const MAX_CONFIG_BYTES = 1_048_576;

/** What PEFT's LoraConfig has where nothing is said. */
const defaultNumber = 8;

/** How an adapter's configuration scales its layers. */
export interface AdapterScaling {
  /**
   * s of a layer: alpha / r, or alpha / √r where the adapter is rank-stabilised.
   *
   * @param path the module's, from the root of the model that the adapter is for.
   * @param rank of its factors, which r must be.
   * @throws InvalidInputError `SHAPE_MISMATCH` for another rank: the configuration is another adapter's.
   * @throws LimitExceededError `LIMIT_EXCEEDED` for patterns that take too much work.
   */
  toScale(path: string, rank: number, budget: PatternBudget): number;
}

/**
 * Parses a configuration, which may come from a stranger.
 *
 * @throws LimitExceededError `LIMIT_EXCEEDED` beyond {@link MAX_CONFIG_BYTES}; InvalidInputError `HEADER_MALFORMED`.
 */
export function parseConfigText(text: string, subject: string): JsonObject {
  if (text.length > MAX_CONFIG_BYTES) {
    const message = `${subject} has ${text.length} characters; at most ${MAX_CONFIG_BYTES} are read.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { found: text.length, limit: MAX_CONFIG_BYTES });
  }
  const root = parseJson(text, subject, { maxDepth: 16, maxArrayItems: 65_536 });
  if (root instanceof Map) return root;
  throw malformed(`${subject} is no JSON object; PEFT writes one.`);
}

/**
 * Reads `r`, `lora_alpha`, `use_rslora`, `rank_pattern` and `alpha_pattern` of a PEFT LoraConfig.
 *
 * @param prefix what stands before each key: diffusers put several configurations into one object, `unet.r` and so on.
 * @returns undefined where the object has no configuration of a LoRA under the prefix.
 * @throws InvalidInputError `HEADER_MALFORMED` for values of another type, `FORMAT_REFUSED` for a pattern that is not read.
 * @see peft, `LoraModel._create_and_replace` and `LoraLayer.update_layer`
 */
export function readAdapterScaling(config: JsonObject, subject: string, prefix = ""): AdapterScaling | undefined {
  const get = (key: string): JsonValue | undefined => config.get(prefix + key);
  const kind = get("peft_type");
  if ((get("r") ?? get("lora_alpha") ?? undefined) === undefined) return undefined;
  if (kind !== undefined && kind !== null && kind !== "LORA") return undefined;
  const r = toNumber(get("r"), `${prefix}r`, subject) ?? defaultNumber;
  const alpha = toNumber(get("lora_alpha"), `${prefix}lora_alpha`, subject) ?? defaultNumber;
  const isStabilised = get("use_rslora") === true;
  const ranks = toTable(get("rank_pattern"), `${prefix}rank_pattern`, subject);
  const alphas = toTable(get("alpha_pattern"), `${prefix}alpha_pattern`, subject);
  return {
    toScale: (path, rank, budget) => {
      const own = ranks.find(path, budget) ?? r;
      if (own !== rank) {
        const message = `${subject} gives the module ${quoteName(path)} the rank ${own}, but its factors have ${rank}: it belongs to another adapter. Put the adapter's own beside it.`;
        throw new InvalidInputError("SHAPE_MISMATCH", message, { module: path, found: rank, expected: own });
      }
      return (alphas.find(path, budget) ?? alpha) / (isStabilised ? Math.sqrt(rank) : rank);
    },
  };
}

function toTable(value: JsonValue | undefined, key: string, subject: string): PatternTable {
  if (value === undefined || value === null) return createPatternTable(new Map());
  if (!(value instanceof Map)) throw malformed(`${subject} has a ${quoteName(key)} that is no object.`);
  const numbers = new Map<string, number>();
  for (const [pattern, item] of value) {
    const number = toNumber(item, `${key}.${pattern}`, subject);
    if (number !== undefined) numbers.set(pattern, number);
  }
  return createPatternTable(numbers);
}

function toNumber(value: JsonValue | undefined, key: string, subject: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw malformed(`${subject} has ${quoteName(key)} that is no finite number.`);
}

function malformed(message: string): InvalidInputError {
  return new InvalidInputError("HEADER_MALFORMED", message);
}
