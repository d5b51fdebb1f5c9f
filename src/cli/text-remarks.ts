import type { EncodedTexts } from "../text/text-encoder.js";
import { toPlain } from "./table.js";

/** What is to be said of texts that were encoded: those that were cut, and those that mean nothing to the encoder. */
export function toTextRemarks({ truncated, unknown }: EncodedTexts, texts: readonly string[]): string[] {
  const show = (index: number): string => {
    const text = texts[index] ?? "";
    return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
  };
  const remarks: string[] = [];
  const [cut] = truncated;
  if (cut !== undefined) {
    const { index, tokenCount, maxTokens } = cut;
    remarks.push(
      `${truncated.length} of ${texts.length} texts are longer than the ${maxTokens} tokens that the text encoder takes and were cut, such as ${show(index)} (${tokenCount} tokens)`,
    );
  }
  const [first] = unknown;
  if (first !== undefined) {
    remarks.push(
      `${unknown.length} of ${texts.length} texts have no word that the text encoder knows, such as ${show(first)}: nothing can be told of them`,
    );
  }
  return remarks.map(toPlain);
}
