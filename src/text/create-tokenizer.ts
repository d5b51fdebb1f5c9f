import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { InvalidInputError } from "../errors/probestream-error.js";
import { isObject } from "./encoder-files.js";
import { findUnknownWords } from "./find-unknown-words.js";
import { findUnknownId } from "./special-tokens.js";
import type { Side } from "./tokenizer-settings.js";

/** A text as tokens of one vocabulary. */
export interface Tokens {
  /** With those that mark begin and end, cut to fit. */
  readonly ids: readonly number[];
  /** How many there were before cutting, with the marks. */
  readonly tokenCount: number;
  /** The vocabulary knows nothing of the text: besides the marks, all tokens are that for unknown ones, or there are none. */
  readonly isUnknown: boolean;
  /**
   * Words that the vocabulary does not know, as {@link findUnknownWords} tells them; none where it has no token for such, or
   * one that marks begin or end as well, as CLIP's.
   */
  readonly unknownWords: readonly string[];
}

/** Turns texts into the token ids of one vocabulary. */
export interface Tokenizer {
  /**
   * Tokens of a text; those that mark its begin and end stay when it is cut.
   *
   * @param max tokens at most.
   * @throws InvalidInputError `FIELD_INVALID` for a word that has no id where the vocabulary names no token for such.
   */
  toTokens(text: string, max: number, cutSide: Side): Tokens;
}

/** What is used of the package, whose own types do not resolve in ECMAScript modules. */
interface Library {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly (number | undefined)[]; readonly tokens: readonly string[] };
}

/**
 * Creates the tokenizer that a `tokenizer.json` describes.
 *
 * @param where path of the file, for messages.
 * @throws InvalidInputError `HEADER_MALFORMED` if it describes none that can be made.
 */
export function createTokenizer(description: Readonly<Record<string, unknown>>, where: string): Tokenizer {
  const library = createLibrary(description, where);
  const toIds = (text: string, marked: boolean): number[] => {
    const { ids, tokens } = library.encode(text, { add_special_tokens: marked });
    return ids.map((id, index) => {
      if (id !== undefined) return id;
      const token = tokens[index] ?? "";
      const message = `"${token}" is no token of ${where}, which names no unk_token for unknown ones`;
      throw new InvalidInputError("FIELD_INVALID", message, { token });
    });
  };
  const marks = toIds("", true);
  const unknownId = findUnknownId(description);
  const meaningless = new Set([...marks, unknownId]);
  const hasUnknown = (ids: readonly number[]): boolean =>
    unknownId !== undefined && !marks.includes(unknownId) && ids.includes(unknownId);
  return {
    toTokens: (text, max, cutSide) => {
      const marked = toIds(text, true);
      return {
        ids: marked.length <= max ? marked : cut(marked, toIds(text, false), max, cutSide),
        tokenCount: marked.length,
        isUnknown: marked.every((id) => meaningless.has(id)),
        unknownWords: hasUnknown(marked) ? findUnknownWords(text, (word) => hasUnknown(toIds(word, false))) : [],
      };
    },
  };
}

function createLibrary(description: Readonly<Record<string, unknown>>, where: string): Library {
  const { model } = description;
  // The package reads a WordLevel model's unk_token from the configuration only.
  const config = isObject(model) && typeof model["unk_token"] === "string" ? { unk_token: model["unk_token"] } : {};
  try {
    return new HuggingFaceTokenizer(description, config) as Library;
  } catch (cause) {
    throw new InvalidInputError(
      "HEADER_MALFORMED",
      `${where} must describe a tokenizer of Hugging Face's tokenizers: ${cause instanceof Error ? cause.message : cause}`,
      {},
      { cause },
    );
  }
}

/** Shortens the text's own tokens, so that the marks around them stay. */
function cut(marked: readonly number[], bare: readonly number[], max: number, side: Side): number[] {
  const markCount = marked.length - bare.length;
  const starts = Array.from({ length: markCount + 1 }, (_, start) => start);
  const start = starts.find((at) => bare.every((id, index) => id === marked[at + index])) ?? 0;
  const room = Math.max(0, max - markCount);
  const kept = side === "right" ? bare.slice(0, room) : bare.slice(bare.length - room);
  return [...marked.slice(0, start), ...kept, ...marked.slice(start + bare.length)].slice(0, max);
}
