import { openTextEncoder } from "../text/open-text-encoder.js";
import type { LabelTexts } from "../training/to-train-data.js";
import { usageError } from "./exit-codes.js";
import { readTexts } from "./texts-file.js";

/** The options that say where labels' texts come from. */
export interface TextOptions {
  readonly texts?: string;
  readonly textEncoder?: string;
  readonly prompt?: string;
}

/** Vectors of labels' texts, and what made them. */
export interface EncodedLabels {
  readonly texts: LabelTexts;
  /** Of a text encoder; a file of vectors does not say. */
  readonly text?: { readonly encoder: string; readonly prompt: string };
}

/** Says what is missing before anything is read. */
export function assertTextOptions({ texts, textEncoder, prompt }: TextOptions): void {
  if (texts === undefined && textEncoder === undefined) {
    throw usageError(
      "a zero-shot expert needs --text-encoder or --texts, to know what labels mean; --objective classification needs neither",
    );
  }
  if (texts !== undefined && textEncoder !== undefined) {
    throw usageError("vectors of texts come from --texts or from --text-encoder, one of the two; both are there");
  }
  if (prompt?.includes("{}") === false) throw usageError(`--prompt: "${prompt}" has no {} for the label to stand in`);
}

/** Reads the vectors of all labels from a file, or encodes their texts. */
export async function readLabelTexts(
  { texts, textEncoder, prompt = "{}" }: TextOptions,
  labels: readonly string[],
  signal: AbortSignal,
): Promise<EncodedLabels> {
  if (texts !== undefined) return { texts: await readTexts(texts, signal) };
  const encoder = await openTextEncoder(textEncoder ?? "");
  try {
    const vectors = await encoder.encode(
      labels.map((label) => prompt.replaceAll("{}", () => label)),
      { signal },
    );
    return { texts: { labels, vectors }, text: { encoder: encoder.identity, prompt } };
  } finally {
    await encoder.dispose();
  }
}
