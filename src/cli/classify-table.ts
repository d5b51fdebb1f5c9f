import type { LabelScore, LabelScores } from "../retrieval/retrieval-port.js";
import { toErrorFields } from "./result-writer.js";
import { toScoreBar } from "./score-bar.js";
import { type Column, keepEnd, toPlain, toTable } from "./table.js";

/** A model with its labels. */
export interface ClassifiedModel {
  readonly name: string;
  readonly scores: LabelScores;
}

/** Whether a label has a probability. */
export function hasProbability({ probability }: LabelScore): boolean {
  return probability !== undefined;
}

/** Widest column of models. */
const modelWidth = 60;

/** Lines of a table: a row per label, the model in the first row of its labels. */
export function toLabelLines(models: readonly ClassifiedModel[]): string[] {
  const hasProbabilities = models.every(({ scores }) => scores.labels.every(hasProbability));
  const columns: readonly Column[] = [
    { title: "model" },
    { title: "" },
    { title: hasProbabilities ? "probability" : "cosine", align: "right" },
    { title: "label" },
  ];
  const rows = models.flatMap(({ name, scores }) =>
    scores.labels.map((label, index) => {
      const value = hasProbabilities ? label.probability : label.cosine;
      return [
        index === 0 ? keepEnd(toPlain(name), modelWidth) : "",
        ...[toScoreBar(value ?? 0), value?.toFixed(3) ?? "", label.label],
      ];
    }),
  );
  return toTable(columns, rows);
}

/** A model with its labels as an object of JSON. */
export function toLabelsJson({ name, scores }: ClassifiedModel): Readonly<Record<string, unknown>> {
  const { spaceId, labels, isCalibrated, unjudged, doubtful } = scores;
  return {
    ...{ model: name, spaceId, isCalibrated, labels: labels.map(toLabelJson) },
    ...(unjudged.length > 0 && { unjudged: unjudged.map(({ label, error }) => ({ label, ...toErrorFields(error) })) }),
    ...(doubtful.length > 0 && { doubtful }),
  };
}

function toLabelJson({ label, probability, cosine }: LabelScore): Readonly<Record<string, unknown>> {
  return { label, probability, cosine };
}
