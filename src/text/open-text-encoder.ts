import { join } from "node:path";
import { InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { createTokenizer } from "./create-tokenizer.js";
import { encodeTexts, type TextPipeline } from "./encode-texts.js";
import { encoderFiles, hashFile, readJsonObject } from "./encoder-files.js";
import type { ModelSignature } from "./model-signature.js";
import { openTextModel } from "./open-text-model.js";
import type { TextEncoder } from "./text-encoder.js";
import { parseTokenizerSettings, type TokenizerSettings } from "./tokenizer-settings.js";

/** How a text encoder is opened. */
export interface TextEncoderOptions {
  /** Threads of arithmetic; 1 if absent. */
  readonly threads?: number;
}

/**
 * Tokens that a model takes which says nowhere how many, and has no `attention_mask`: such are towers of CLIP, whose
 * context is 77.
 */
const clipContext = 77;

/**
 * Opens a text encoder: a folder with `model.onnx` and `tokenizer.json` as Hugging Face lays them out, and perhaps
 * `tokenizer_config.json`.
 *
 * Texts are cut to `truncation.max_length` of `tokenizer.json`, else to `model_max_length` of `tokenizer_config.json`,
 * else to 77 tokens if the model has no `attention_mask`; and always to the length that the model fixes. They are filled
 * up to that length, else as `padding` says, else to the longest of their batch; but a model without a mask sees what
 * fills up, and gets as many tokens as it takes, as it was trained.
 *
 * It blocks its thread while it loads, and while it runs once to learn the width.
 *
 * Memory: the model, the vocabulary, and what the layers need for 4,096 tokens.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` for a file that is absent, CorruptDataError `CORRUPT` for one that is no ONNX
 * model or no JSON, InvalidInputError `HEADER_MALFORMED`, `FIELD_INVALID`, `DTYPE_UNSUPPORTED` or `SHAPE_MISMATCH` for a
 * tokenizer or model of another kind, UnavailableError `BACKEND_UNAVAILABLE` without onnxruntime-node.
 */
export async function openTextEncoder(folder: string, { threads = 1 }: TextEncoderOptions = {}): Promise<TextEncoder> {
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new InvalidInputError("FIELD_INVALID", `threads is ${threads}; it must be a whole number, at least 1`);
  }
  const tokenizerPath = join(folder, encoderFiles.tokenizer);
  const modelPath = join(folder, encoderFiles.model);
  const description = await readJsonObject(tokenizerPath);
  const settings = parseTokenizerSettings(description, await readConfig(folder), tokenizerPath);
  const tokenizer = createTokenizer(description, tokenizerPath);
  const identity = await hashFile(modelPath);
  const model = await openTextModel(modelPath, threads);
  try {
    const pipeline: TextPipeline = { tokenizer, model, settings: joinSettings(settings, model.signature) };
    // Many models do not state their width, and one whose tokenizer is another's is found out here.
    const { columns: width } = await encodeTexts(pipeline, ["a"], undefined);
    return {
      identity,
      width,
      encode: (texts, { signal } = {}) => encodeTexts(pipeline, texts, signal),
      dispose: () => model.dispose(),
    };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

async function readConfig(folder: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await readJsonObject(join(folder, encoderFiles.tokenizerConfig));
  } catch (error) {
    if (error instanceof NotFoundError) return {};
    throw error;
  }
}

/** The tokenizer's settings with what the model fixes. */
function joinSettings(settings: TokenizerSettings, { hasMask, sequenceLength }: ModelSignature): TokenizerSettings {
  if (sequenceLength !== undefined) {
    const maxTokens = Math.min(settings.maxTokens ?? sequenceLength, sequenceLength);
    return { ...settings, maxTokens, padLength: sequenceLength, padMultiple: 1 };
  }
  if (hasMask) return settings;
  const { maxTokens = clipContext } = settings;
  return { ...settings, maxTokens, padLength: settings.padLength ?? maxTokens };
}
