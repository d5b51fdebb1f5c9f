import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";

/**
 * 65,536 UTF-16 units, some 10,000 words: the tokenizer takes up to two seconds for so many without a space between
 * them, in which no signal is seen.
 */
const maxTextLength = 65_536;

/** Something that is neither white space nor a character without a shape, such as a byte-order mark. */
const visible = /[^\s\p{Z}\p{Cc}\p{Cf}]/u;

/**
 * Refuses lists of texts that no encoder takes.
 *
 * @throws InvalidInputError `FIELD_INVALID` for an empty list; what {@link assertText} throws, with the text's position.
 */
export function assertTexts(texts: readonly string[]): void {
  if (texts.length === 0) {
    throw new InvalidInputError("FIELD_INVALID", "there are no texts to encode; give at least one");
  }
  for (const [index, text] of texts.entries()) assertText(text, `text ${index}`);
}

/**
 * Refuses a text that no encoder takes.
 *
 * @param name of the text, for messages.
 * @throws InvalidInputError `FIELD_INVALID` for a text of nothing but white space; LimitExceededError `LIMIT_EXCEEDED`
 * for one of more than 65,536 characters.
 */
export function assertText(text: string, name = "the text"): void {
  const { length } = text;
  if (length > maxTextLength) {
    const message = `${name} is ${length} characters long; at most ${maxTextLength} are taken, shorten it`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { length, max: maxTextLength });
  }
  if (!visible.test(text)) {
    const message = `${name} is empty: ${JSON.stringify(text.slice(0, 40))}; a text must hold more than white space`;
    throw new InvalidInputError("FIELD_INVALID", message);
  }
}
