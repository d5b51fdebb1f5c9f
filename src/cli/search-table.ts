import type { ModelHit, QueryHits } from "../retrieval/retrieval-port.js";
import { toFieldText } from "./field-text.js";
import { toUnknownWordsRemark } from "./label-remarks.js";
import { toScoreBar } from "./score-bar.js";
import { type Column, keepEnd, toFurtherColumns, toPlain, toTable } from "./table.js";

/** Widest columns of ids, and of trees and bases. */
const [idWidth, nameWidth] = [60, 24];

const columns: readonly Column[] = [
  { title: "#", align: "right" },
  { title: "" },
  { title: "score", align: "right" },
  { title: "cosine", align: "right" },
  { title: "model" },
  { title: "tree" },
  { title: "base" },
];

/**
 * Lines of a table of hits, best first: with scores where all have one, else with cosines alone.
 *
 * @param wanted further columns, as filters name them; those that the table has anyhow stay where they are.
 */
export function toHitLines({ hits }: QueryHits, wanted: readonly string[] = []): string[] {
  const fields = toFurtherColumns(wanted, columns);
  const hasScores = hits.every(({ score }) => score !== undefined);
  const rows = hits.map((hit, index) => [
    ...toCells(hit, index, hasScores),
    ...fields.map((field) =>
      keepStart(toPlain(hit.record === undefined ? "" : toFieldText(hit.record, field)), idWidth),
    ),
  ]);
  const all: readonly Column[] = [...columns, ...fields.map((title) => ({ title }))];
  // A column that is empty in all rows says nothing, unless it is asked for.
  const shown = all.map(({ title }, at) => {
    return title === "" || at >= columns.length || wanted.includes(title) || rows.some((row) => row[at] !== "");
  });
  return toTable(
    all.filter((_, at) => shown[at]),
    rows.map((row) => row.filter((_, at) => shown[at])),
  );
}

function keepStart(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}

function toCells({ modelId, cosine, score, record }: ModelHit, index: number, hasScores: boolean): string[] {
  return [
    String(index + 1),
    toScoreBar(hasScores ? (score ?? 0) : cosine),
    score?.toFixed(3) ?? "",
    cosine.toFixed(3),
    keepEnd(toPlain(modelId), idWidth),
    keepEnd(toPlain(record?.tree ?? ""), nameWidth),
    keepEnd(toPlain(record?.base ?? ""), nameWidth),
  ];
}

/** A hit as an object of JSON. */
export function toHitJson({ modelId, spaceId, cosine, score, record }: ModelHit): Readonly<Record<string, unknown>> {
  return {
    ...{ model: modelId, score, cosine, spaceId },
    ...(record !== undefined && {
      ...{ tree: record.tree, base: record.base, weightsHash: record.weightsHash },
      ...{ metadata: record.metadata, claims: record.claims },
    }),
  };
}

/** What to say of hits without scores, of spaces that had no say, of texts that were cut, and of words that are unknown. */
export function toHitRemarks(
  { hits, skipped, truncated, unknownWords }: QueryHits,
  nameOf: (spaceId: string) => string,
): string[] {
  const uncalibrated = [...new Set(hits.flatMap(({ score, spaceId }) => (score === undefined ? [spaceId] : [])))];
  return [
    ...(uncalibrated.length === 0 ? [] : [toCalibrationRemark(uncalibrated.map(nameOf))]),
    ...skipped.map(({ expertName, error }) => toPlain(`not searched: ${expertName}: ${error.message}`)),
    ...toCutRemarks(truncated, nameOf),
    ...groupWords(unknownWords).flatMap(([spaceId, words]) => toUnknownWordsRemark(words, nameOf(spaceId))),
  ];
}

/** Unknown words of a query, each once, by space. */
function groupWords(unknownWords: QueryHits["unknownWords"]): [spaceId: string, words: readonly string[]][] {
  const bySpace = new Map<string, Set<string>>();
  for (const { spaceId, words } of unknownWords) {
    bySpace.set(spaceId, new Set([...(bySpace.get(spaceId) ?? []), ...words]));
  }
  return [...bySpace].map(([spaceId, words]) => [spaceId, [...words]]);
}

/** One line for each space in which texts were cut. */
function toCutRemarks(truncated: QueryHits["truncated"], nameOf: (spaceId: string) => string): string[] {
  return [...new Set(truncated.map(({ spaceId }) => spaceId))].map((spaceId) => {
    const own = truncated.filter((one) => one.spaceId === spaceId);
    const longest = own.reduce((most, one) => (one.tokenCount > most.tokenCount ? one : most));
    const which = own.length === 1 ? "a text of the query was" : `${own.length} texts of the query were`;
    const { tokenCount, maxTokens } = longest;
    return toPlain(
      `${which} cut for ${nameOf(spaceId)}: its text encoder takes ${maxTokens} tokens, and there are ${tokenCount}${own.length === 1 ? "" : " in the longest"}`,
    );
  });
}

/** How experts get scores. */
export function toCalibrationRemark(names: readonly string[]): string {
  const which = names.length === 1 ? `${names[0]} has` : `${names.join(", ")} have`;
  return toPlain(
    `cosines only: ${which} no calibrated scores; \`probestream experts calibrate\` makes them of models that are known`,
  );
}
