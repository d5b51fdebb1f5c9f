import { setImmediate as nextTurn } from "node:timers/promises";
import { InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { scaleRowsToUnit } from "../linalg/unit.js";
import { assertTexts } from "./assert-texts.js";
import type { Tokenizer, Tokens } from "./create-tokenizer.js";
import type { Pooling } from "./encoder-settings.js";
import type { TextModel } from "./open-text-model.js";
import { poolTokens } from "./pool-tokens.js";
import type { EncodedTexts } from "./text-encoder.js";
import { type PaddedTokens, toBatches, toPadded } from "./token-batches.js";
import type { TokenizerSettings } from "./tokenizer-settings.js";

/** What a text goes through. */
export interface TextPipeline {
  readonly tokenizer: Tokenizer;
  readonly model: TextModel;
  readonly settings: TokenizerSettings;
  readonly pooling: Pooling;
  /** The end-of-text token. */
  readonly endId?: number;
  readonly isNormalized: boolean;
}

/** After so many milliseconds of tokenizing, other work of the thread has its turn, and signals are seen. */
const turnMs = 20;

/** Encodes texts batch by batch, the shortest first; throws as `TextEncoder.encode` does. */
export async function encodeTexts(
  pipeline: TextPipeline,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<EncodedTexts> {
  signal?.throwIfAborted();
  assertTexts(texts);
  const { settings, model } = pipeline;
  const { maxTokens = Number.POSITIVE_INFINITY } = settings;
  const sequences = await tokenize(pipeline, texts, maxTokens, signal);
  const vectors: Float32Array[] = [];
  const lengths = sequences.map(({ ids }) => toPaddedLength(ids.length, settings));
  for (const { indices, length } of toBatches(lengths, model.signature.batchSize)) {
    signal?.throwIfAborted();
    const values = await encodeBatch(
      pipeline,
      indices.map((index) => sequences[index]?.ids ?? []),
      length,
    );
    const width = values.length / indices.length;
    for (const [row, index] of indices.entries()) {
      const vector = values.subarray(row * width, (row + 1) * width);
      assertFinite(vector, texts[index] ?? "");
      vectors[index] = vector;
    }
  }
  return {
    ...toRows(vectors),
    truncated: [...sequences.entries()].flatMap(([index, { tokenCount }]) =>
      tokenCount > maxTokens ? [{ index, tokenCount, maxTokens }] : [],
    ),
    unknown: [...sequences.entries()].flatMap(([index, { isUnknown }]) => (isUnknown ? [index] : [])),
    unknownWords: [...sequences.entries()].flatMap(([index, { unknownWords: words }]) =>
      words.length > 0 ? [{ index, words }] : [],
    ),
  };
}

async function tokenize(
  { tokenizer, settings: { cutSide } }: TextPipeline,
  texts: readonly string[],
  maxTokens: number,
  signal: AbortSignal | undefined,
): Promise<Tokens[]> {
  const sequences: Tokens[] = [];
  let turnAt = performance.now() + turnMs;
  for (const text of texts) {
    sequences.push(tokenizer.toTokens(text, maxTokens, cutSide));
    if (performance.now() < turnAt) continue;
    await nextTurn();
    signal?.throwIfAborted();
    turnAt = performance.now() + turnMs;
  }
  return sequences;
}

/** Vectors of texts of one batch, texts × width. */
async function encodeBatch(
  { model, settings, pooling, endId, isNormalized }: TextPipeline,
  sequences: readonly (readonly number[])[],
  length: number,
): Promise<Float32Array> {
  const { batchSize = sequences.length, output } = model.signature;
  // A model that takes a fixed number of texts gets the first one again.
  const rest = Array.from({ length: batchSize - sequences.length }, () => sequences[0] ?? []);
  const tokens: PaddedTokens = toPadded([...sequences, ...rest], length, settings);
  const values = await model.run(tokens);
  const pooled = output.isPerToken ? poolTokens(values, tokens, pooling, endId) : values;
  const own = pooled.subarray(0, (pooled.length / batchSize) * sequences.length);
  if (isNormalized) scaleRowsToUnit({ width: own.length / sequences.length, values: own });
  return own;
}

/** Tokens of a text that is filled up alone; one at least, for models stumble over none. */
function toPaddedLength(length: number, { padLength = 1, padMultiple }: TokenizerSettings): number {
  return Math.ceil(Math.max(length, padLength) / padMultiple) * padMultiple;
}

function assertFinite(vector: Float32Array, text: string): void {
  if (allFinite(vector)) return;
  const shown = JSON.stringify(text.slice(0, 80));
  throw new InvalidInputError("NON_FINITE", `the model gives NaN or infinity for the text ${shown}`, { text: shown });
}

function toRows(vectors: readonly Float32Array[]): { rows: number; columns: number; values: Float32Array } {
  const columns = vectors[0]?.length ?? 0;
  const values = new Float32Array(vectors.length * columns);
  for (const [row, vector] of vectors.entries()) values.set(vector, row * columns);
  return { rows: vectors.length, columns, values };
}
