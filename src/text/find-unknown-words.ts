/** Words of one text that are named. */
const mostWords = 32;

/** By language where words are not set apart by spaces. */
const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/** Neither spaces nor punctuation alone. */
const telling = /[^\p{P}\s]/u;

/**
 * Finds the words of a text that a vocabulary does not know: those that give its token for unknown ones when they stand
 * alone.
 *
 * @param isUnknown whether a word gives such a token.
 * @returns each word once, as it stands in the text, in its order; the first 32 at most.
 */
export function findUnknownWords(text: string, isUnknown: (word: string) => boolean): readonly string[] {
  const seen = new Set<string>();
  const found: string[] = [];
  for (const { segment } of segmenter.segment(text)) {
    if (seen.has(segment) || !telling.test(segment)) continue;
    seen.add(segment);
    if (isUnknown(segment)) found.push(segment);
    if (found.length === mostWords) break;
  }
  return found;
}
