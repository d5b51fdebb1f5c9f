import { isObject } from "./encoder-files.js";

type Json = Readonly<Record<string, unknown>>;

/**
 * The id of a token, by the added tokens and the vocabulary of `tokenizer.json`.
 *
 * @param name its text, or an object that has it as `content`, as `tokenizer_config.json` writes both.
 * @returns undefined for a token that is not there, or a name that is none.
 */
export function findTokenId({ model, added_tokens: added }: Json, name: unknown): number | undefined {
  const token = isObject(name) ? name["content"] : name;
  if (typeof token !== "string") return undefined;
  const entry: unknown = Array.isArray(added)
    ? added.find((each) => isObject(each) && each["content"] === token)
    : undefined;
  return toId(isObject(entry) ? entry["id"] : findInVocabulary(model, token));
}

/**
 * The id that stands for what the vocabulary does not know; undefined where there is none, as in vocabularies of bytes.
 */
export function findUnknownId(tokenizer: Json): number | undefined {
  const { model } = tokenizer;
  if (!isObject(model)) return undefined;
  return toId(model["unk_id"]) ?? findTokenId(tokenizer, model["unk_token"]);
}

/** Vocabularies are objects of ids by token; those of Unigram models are lists of [token, score] in the order of ids. */
function findInVocabulary(model: unknown, token: string): unknown {
  const vocabulary = isObject(model) ? model["vocab"] : undefined;
  if (Array.isArray(vocabulary)) {
    const id = vocabulary.findIndex((each) => Array.isArray(each) && each[0] === token);
    return id < 0 ? undefined : id;
  }
  return isObject(vocabulary) && Object.hasOwn(vocabulary, token) ? vocabulary[token] : undefined;
}

function toId(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}
