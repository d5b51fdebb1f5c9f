import { listSome } from "../errors/list-some.js";
import type { LabelScores } from "../retrieval/retrieval-port.js";
import { splitUnjudged } from "../retrieval/split-unjudged.js";
import { toPlain } from "./table.js";

/** Labels that one remark names. */
const mostNamed = 10;

/** What is to be said of the labels of one space: those that were left out, and those that were judged with less certainty. */
export function toLabelRemarks(
  { unjudged, doubtful }: Pick<LabelScores, "unjudged" | "doubtful">,
  spaceName: string,
): string[] {
  const { unknown, far } = splitUnjudged(unjudged);
  const unfamiliar = doubtful.filter(({ isUnfamiliar }) => isUnfamiliar);
  const words = new Set(doubtful.flatMap(({ unknownWords }) => unknownWords));
  return [
    ...toRemark(`left out, for the text encoder of ${spaceName} knows no word of them`, unknown),
    ...toRemark(`left out, for they are far from what ${spaceName} was trained on`, far),
    ...toRemark(`not calibrated, for these labels are far from those that ${spaceName} was trained on`, unfamiliar),
    ...toUnknownWordsRemark([...words], spaceName),
  ].map(toPlain);
}

/** Words that had no say, in one line; none where there are none. */
export function toUnknownWordsRemark(words: readonly string[], spaceName: string): string[] {
  if (words.length === 0) return [];
  return [toPlain(`the text encoder of ${spaceName} does not know: ${listSome(words, mostNamed)}`)];
}

function toRemark(what: string, labels: readonly { readonly label: string }[]): string[] {
  if (labels.length === 0) return [];
  return [
    `${what}: ${listSome(
      labels.map(({ label }) => label),
      mostNamed,
    )}`,
  ];
}
