import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import type { Tokenizer } from "./create-tokenizer.js";
import type { TextModel } from "./open-text-model.js";
import type { TextVectors } from "./text-encoder.js";
import { toBatches, toPadded } from "./token-batches.js";
import type { TokenizerSettings } from "./tokenizer-settings.js";

/** What a text goes through. */
export interface TextPipeline {
  readonly tokenizer: Tokenizer;
  readonly model: TextModel;
  readonly settings: TokenizerSettings;
}

/**
 * 65,536 UTF-16 units, some 10,000 words: the tokenizer takes up to two seconds for so many without a space between
 * them, in which no signal is seen.
 */
const maxTextLength = 65_536;

/** Encodes texts batch by batch, the shortest first; throws as `TextEncoder.encode` does. */
export async function encodeTexts(
  { tokenizer, model, settings }: TextPipeline,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<TextVectors> {
  signal?.throwIfAborted();
  if (texts.length === 0) {
    throw new InvalidInputError("FIELD_INVALID", "there are no texts to encode; give at least one");
  }
  assertLengths(texts);
  const { maxTokens = Number.POSITIVE_INFINITY, cutSide } = settings;
  const sequences = texts.map((text) => tokenizer.toTokens(text, maxTokens, cutSide));
  const vectors: Float32Array[] = [];
  for (const { indices, length } of toBatches(sequences.map((sequence) => toPaddedLength(sequence.length, settings)))) {
    signal?.throwIfAborted();
    const batch = indices.map((index) => sequences[index] ?? []);
    const { ids, mask } = toPadded(batch, length, settings);
    const values = await model.run(ids, mask, indices.length, length);
    const width = values.length / indices.length;
    for (const [row, index] of indices.entries()) {
      const vector = values.subarray(row * width, (row + 1) * width);
      assertFinite(vector, index, texts[index] ?? "");
      vectors[index] = vector;
    }
  }
  return toRows(vectors);
}

function assertLengths(texts: readonly string[]): void {
  for (const [index, { length }] of texts.entries()) {
    if (length <= maxTextLength) continue;
    const message = `text ${index} is ${length} characters long; at most ${maxTextLength} are taken, shorten it`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { index, length, max: maxTextLength });
  }
}

/** Tokens of a text that is filled up alone; one at least, for models stumble over none. */
function toPaddedLength(length: number, { padLength = 1, padMultiple }: TokenizerSettings): number {
  return Math.ceil(Math.max(length, padLength) / padMultiple) * padMultiple;
}

function assertFinite(vector: Float32Array, index: number, text: string): void {
  if (allFinite(vector)) return;
  const message = `the model gives NaN or infinity for text ${index}, ${JSON.stringify(text.slice(0, 80))}`;
  throw new InvalidInputError("NON_FINITE", message, { index });
}

function toRows(vectors: readonly Float32Array[]): TextVectors {
  const columns = vectors[0]?.length ?? 0;
  const values = new Float32Array(vectors.length * columns);
  for (const [row, vector] of vectors.entries()) values.set(vector, row * columns);
  return { rows: vectors.length, columns, values };
}
