import type { Expert } from "../experts/expert.js";
import type { LabelTexts } from "../training/to-train-data.js";
import type { CommandContext } from "./command-context.js";
import { usageError } from "./exit-codes.js";
import { readLabelTexts, type TextOptions } from "./label-texts.js";

/** Vectors of labels' texts, made as those that the expert was trained with: its prompt unless another is given. */
export async function readExpertTexts(
  { textEncoder, prompt }: Expert,
  labels: readonly string[],
  options: TextOptions,
  context: CommandContext,
): Promise<LabelTexts> {
  const own = options.prompt ?? (prompt === "" ? undefined : prompt);
  const { texts, text } = await readLabelTexts(
    { ...options, ...(own !== undefined && { prompt: own }) },
    labels,
    context,
  );
  if (text !== undefined && textEncoder !== "" && text.encoder !== textEncoder) {
    throw usageError(
      `--text-encoder: its ONNX model is ${text.encoder.slice(0, 12)}…, the expert was trained with ${textEncoder.slice(0, 12)}…`,
    );
  }
  return texts;
}
