import { InvalidInputError } from "../errors/probestream-error.js";
import { isObject } from "./encoder-files.js";
import { findTokenId } from "./special-tokens.js";

/** Which end of a sequence of tokens. */
export type Side = "left" | "right";

/** How sequences of tokens are cut and filled up. */
export interface TokenizerSettings {
  /** Tokens at most, with those that mark begin and end; absent where the files do not say. */
  readonly maxTokens?: number;
  /** Where too long texts are cut. */
  readonly cutSide: Side;
  /** What fills up, and where. */
  readonly padId: number;
  readonly padSide: Side;
  /** Every sequence is filled up to so many tokens; absent means to the longest of its batch. */
  readonly padLength?: number;
  /** The length after filling up is a multiple of it. */
  readonly padMultiple: number;
}

/** `model_max_length` of tokenizers that have no limit is 10^30; the longest contexts of text encoders are 32,768. */
const maxSaneLength = 1_000_000;

/**
 * Reads what `tokenizer.json` says of truncation and padding, and `tokenizer_config.json`, if there is one, where that
 * is silent (CLIP's is).
 *
 * @param where path of `tokenizer.json`, for messages.
 * @throws InvalidInputError `HEADER_MALFORMED` if a setting is not what the format has.
 */
export function parseTokenizerSettings(
  tokenizer: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  where: string,
): TokenizerSettings {
  const truncation = toSection(tokenizer["truncation"], where, "truncation");
  const padding = toSection(tokenizer["padding"], where, "padding");
  const strategy = padding?.["strategy"] ?? "BatchLongest";
  const padLength = isObject(strategy) ? toCount(strategy["Fixed"], where, "padding.strategy.Fixed") : undefined;
  if (padLength === undefined && strategy !== "BatchLongest") {
    throw wrong(where, "padding.strategy", strategy, '"BatchLongest" or {"Fixed": length}');
  }
  const maxTokens =
    truncation === undefined ? toSaneLength(config) : toCount(truncation["max_length"], where, "truncation.max_length");
  return {
    ...(maxTokens !== undefined && { maxTokens }),
    cutSide: toSide(truncation?.["direction"], where, "truncation.direction"),
    padId:
      padding === undefined
        ? (findTokenId(tokenizer, config["pad_token"]) ?? 0)
        : toCount(padding["pad_id"], where, "padding.pad_id", 0),
    padSide: toSide(padding?.["direction"], where, "padding.direction"),
    ...(padLength !== undefined && { padLength }),
    padMultiple: toCount(padding?.["pad_to_multiple_of"] ?? 1, where, "padding.pad_to_multiple_of"),
  };
}

function toSaneLength({ model_max_length: length }: Readonly<Record<string, unknown>>): number | undefined {
  return isCount(length, 1) && length <= maxSaneLength ? length : undefined;
}

function toSection(value: unknown, where: string, key: string): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw wrong(where, key, value, "an object or null");
  return value;
}

function toSide(value: unknown, where: string, key: string): Side {
  if (value === undefined || value === "Right") return "right";
  if (value === "Left") return "left";
  throw wrong(where, key, value, '"Left" or "Right"');
}

function toCount(value: unknown, where: string, key: string, least = 1): number {
  if (isCount(value, least)) return value;
  throw wrong(where, key, value, `a whole number, at least ${least}`);
}

function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function wrong(where: string, key: string, found: unknown, allowed: string): InvalidInputError {
  const shown = found === undefined ? "absent" : (JSON.stringify(found) ?? "?").slice(0, 80);
  return new InvalidInputError("HEADER_MALFORMED", `${where}: ${key} is ${shown}; it must be ${allowed}`, { key });
}
