import { join } from "node:path";
import { InvalidInputError } from "../errors/probestream-error.js";
import { createTokenizer } from "./create-tokenizer.js";
import { encodeTexts, type TextPipeline } from "./encode-texts.js";
import { encoderFiles, isObject, readJsonObject, readOptionalJson } from "./encoder-files.js";
import { type EncoderSettings, readEncoderSettings } from "./encoder-settings.js";
import { findModel } from "./find-model.js";
import type { ModelSignature } from "./model-signature.js";
import { openTextModel } from "./open-text-model.js";
import { findTokenId } from "./special-tokens.js";
import type { TextEncoder } from "./text-encoder.js";
import { parseTokenizerSettings, type TokenizerSettings } from "./tokenizer-settings.js";

/** How a text encoder is opened. */
export interface TextEncoderOptions {
  /** Threads of arithmetic; 1 if absent. */
  readonly threads?: number | undefined;
}

/**
 * Tokens that a tower of CLIP takes, or a model without `attention_mask`, where nothing says how many: such are towers of
 * CLIP too.
 */
const clipContext = 77;

/** What marks begin and end of a text for CLIP. */
const clipTokens = { begin: "<|startoftext|>", end: "<|endoftext|>" } as const;

/**
 * Opens a text encoder: a folder with an ONNX model and `tokenizer.json`, named and placed as Hugging Face does
 * ({@link encoderFiles}), and what it writes beside them: `tokenizer_config.json`, `config.json`, and the settings of
 * sentence-transformers.
 *
 * Vectors are the model's `text_embeds` or `sentence_embedding`; else, of a tower of CLIP, its `pooler_output` or the
 * `last_hidden_state` of the end-of-text token, and of another model the mean of its tokens' `last_hidden_state`, or the
 * first's or last's if `1_Pooling/config.json` says so.
 *
 * Texts are cut to the tokens that `sentence_bert_config.json` says, else to `truncation.max_length` of
 * `tokenizer.json`, else to `model_max_length` of `tokenizer_config.json`, else to 77 for a tower of CLIP or a model
 * without `attention_mask`, else to the positions of `config.json`; and always to the length that the model fixes. They
 * are filled up to that length, else to the longest of their batch, by the side and the multiple of `padding`; but a
 * model without a mask sees what fills up, and gets as many tokens as it takes, as it was trained.
 *
 * It blocks its thread while it loads, while it runs once to learn the width, and while it encodes, but for a turn of the
 * event loop between batches, in which a signal is seen: it belongs in a worker thread (`startTextEncoder`), or in a
 * command that has nothing else to do.
 *
 * Memory: the model, the vocabulary, and what the layers need for 1,024 tokens.
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
  const description = await readJsonObject(tokenizerPath);
  const config = await readOptionalJson(folder, encoderFiles.tokenizerConfig);
  const tokenizerConfig = isObject(config) ? config : {};
  const tokenizerSettings = parseTokenizerSettings(description, tokenizerConfig, tokenizerPath);
  const tokenizer = createTokenizer(description, tokenizerPath);
  const clipEnd = findTokenId(description, clipTokens.end);
  const hasClipTokens = clipEnd !== undefined && findTokenId(description, clipTokens.begin) !== undefined;
  const settings = await readEncoderSettings(folder, hasClipTokens);
  const { path, identity } = await findModel(folder);
  const model = await openTextModel(path, settings, threads);
  try {
    const endId = findTokenId(description, tokenizerConfig["eos_token"]) ?? clipEnd;
    const joined = joinSettings(tokenizerSettings, settings, model.signature);
    const pipeline: TextPipeline = {
      tokenizer,
      model,
      settings: joined,
      pooling: settings.pooling,
      ...(endId !== undefined && { endId }),
      isNormalized: settings.isNormalized,
    };
    // Many models do not state their width, and one whose tokenizer is another's is found out here.
    const { columns: width } = await encodeTexts(pipeline, ["a"], undefined);
    return {
      identity,
      width,
      ...(joined.maxTokens !== undefined && { maxTokens: joined.maxTokens }),
      encode: (texts, { signal } = {}) => encodeTexts(pipeline, texts, signal),
      dispose: () => model.dispose(),
    };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

/** The tokenizer's settings with what the model and its folder fix. */
function joinSettings(
  { padLength, ...settings }: TokenizerSettings,
  { family, sentenceTokens, positions }: EncoderSettings,
  { hasMask, sequenceLength }: ModelSignature,
): TokenizerSettings {
  const context = family === "clip" || !hasMask ? clipContext : positions;
  const maxTokens = sentenceTokens ?? settings.maxTokens ?? context;
  if (sequenceLength !== undefined) {
    const fitting = Math.min(maxTokens ?? sequenceLength, sequenceLength);
    return { ...settings, maxTokens: fitting, padLength: sequenceLength, padMultiple: 1 };
  }
  // Where a mask tells them apart, what fills up changes nothing and costs time.
  if (hasMask) return { ...settings, ...(maxTokens !== undefined && { maxTokens }) };
  const most = maxTokens ?? clipContext;
  return { ...settings, maxTokens: most, padLength: padLength ?? most };
}
