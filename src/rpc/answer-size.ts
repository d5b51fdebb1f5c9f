import { LimitExceededError } from "../errors/probestream-error.js";
import type { DoubtfulLabel, LabelScores, ModelRecord, QueryHits, UnjudgedLabel } from "../retrieval/retrieval-port.js";

/** Longest answer to one call of retrieval: half of what our client takes. */
export const maxRetrievalAnswerBytes = 32 * 1024 * 1024;

/** Fields of a hit besides its ids: two float64, their tags and lengths. */
const hitBytes = 32;

/** Fields of a record besides its texts. */
const recordBytes = 300;

/** Bytes of hits on the wire, about. */
export function sizeOfHits({ hits, skipped, truncated, unknownWords }: QueryHits): number {
  return hits.reduce(
    (sum, { modelId, spaceId, record }) =>
      sum + hitBytes + Buffer.byteLength(modelId) + spaceId.length + (record === undefined ? 0 : sizeOfRecord(record)),
    skipped.length * 512 +
      truncated.length * 96 +
      unknownWords.reduce((sum, { words }) => sum + 96 + sizeOfWords(words), 0),
  );
}

/** Bytes of a record on the wire, about, without its representation. */
export function sizeOfRecord({ id, base, tree, metadata, claims }: ModelRecord): number {
  const fields = [...Object.entries(metadata), ...Object.entries(claims)];
  return fields.reduce(
    (sum, [name, value]) =>
      sum + 24 + Buffer.byteLength(name) + (typeof value === "string" ? Buffer.byteLength(value) : 8),
    recordBytes + Buffer.byteLength(id) + Buffer.byteLength(base) + Buffer.byteLength(tree),
  );
}

/** Bytes of labels on the wire, about. */
export function sizeOfScores({ labels }: LabelScores): number {
  return labels.reduce((sum, { label }) => sum + 24 + Buffer.byteLength(label), 100);
}

/** Bytes on the wire, about, of what is said of the labels of one space. */
export function sizeOfLabelRemarks({
  unjudged,
  doubtful,
}: {
  readonly unjudged: readonly UnjudgedLabel[];
  readonly doubtful: readonly DoubtfulLabel[];
}): number {
  const texts = [...unjudged.map(({ label }) => ({ label, unknownWords: [] })), ...doubtful];
  return texts.reduce(
    (sum, { label, unknownWords }) => sum + 96 + Buffer.byteLength(label) + sizeOfWords(unknownWords),
    unjudged.length * 512,
  );
}

function sizeOfWords(words: readonly string[]): number {
  return words.reduce((sum, word) => sum + 4 + Buffer.byteLength(word), 0);
}

/**
 * Guards the length of an answer, before it is made.
 *
 * @param what the call's own way to ask for less: `queries, a smaller k, or no records`.
 * @throws LimitExceededError `LIMIT_EXCEEDED` with the fact `answerBytes`.
 */
export function assertAnswerSize(bytes: number, what: string): void {
  if (bytes <= maxRetrievalAnswerBytes) return;
  throw new LimitExceededError(
    "LIMIT_EXCEEDED",
    `the answer would take some ${bytes} bytes; ${maxRetrievalAnswerBytes} are allowed: ask for fewer ${what} at a time`,
    { answerBytes: bytes, limit: maxRetrievalAnswerBytes },
  );
}
