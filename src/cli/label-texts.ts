import type { LabelTexts } from "../training/to-train-data.js";
import type { CommandContext } from "./command-context.js";
import { usageError } from "./exit-codes.js";
import { openEncoderByName } from "./open-encoder-by-name.js";
import { toTextRemarks } from "./text-remarks.js";
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

/** Reads the vectors of all labels from a file, or encodes their texts; remarks on those that were cut or say nothing. */
export async function readLabelTexts(
  { texts, textEncoder, prompt = "{}" }: TextOptions,
  labels: readonly string[],
  context: CommandContext,
): Promise<EncodedLabels> {
  const { signal, terminal } = context;
  if (texts !== undefined) return { texts: await readTexts(texts, signal) };
  const encoder = await openEncoderByName(textEncoder ?? "", context, { cacheBytes: 0 });
  try {
    const prompts = labels.map((label) => prompt.replaceAll("{}", () => label));
    const encoded = await encoder.encode(prompts, { signal });
    for (const remark of toTextRemarks(encoded, prompts)) terminal.remark(remark);
    return { texts: { labels, vectors: encoded }, text: { encoder: encoder.identity, prompt } };
  } finally {
    await encoder.dispose();
  }
}
