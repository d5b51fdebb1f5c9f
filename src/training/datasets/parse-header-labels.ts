import { parseLabels } from "./parse-labels.js";
import { parseTagFrequency, tagFrequencyKey } from "./parse-tag-frequency.js";

/**
 * Reads the labels that a header has under a key: of kohya's `ss_tag_frequency` the most frequent tags
 * ({@link parseTagFrequency}), of any other key what {@link parseLabels} reads.
 *
 * @throws InvalidInputError `FIELD_INVALID` as these two do.
 */
export function parseHeaderLabels(key: string, text: string, separator?: string): string[] {
  return key === tagFrequencyKey ? parseTagFrequency(text) : parseLabels(text, separator);
}
