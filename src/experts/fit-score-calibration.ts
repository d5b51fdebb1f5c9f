import { countRows, type Rows, rowOf, toRows } from "../linalg/rows.js";
import { takeEvenly } from "../linalg/take-evenly.js";
import { toUnitRows } from "../linalg/unit.js";
import type { Checkpoint } from "./checkpoint.js";
import {
  type Candidates,
  fewestModels,
  fitLogits,
  fitNewOffset,
  fitSoftmax,
  type ScoredModel,
} from "./fit-label-scores.js";
import { fitScoreScale } from "./fit-score-scale.js";
import { toLabelQueries } from "./label-queries.js";
import { toNearestCosine } from "./score-calibration-background.js";
import type { BySight, LabelSoftmax, ScoreModel, ScoreScale } from "./score-calibration-model.js";
import { toTextRadius } from "./text-radius.js";

/** What scores are calibrated on. */
export interface ScoreSample {
  readonly models: readonly ScoredModel[];
  /** Labels that the expert was trained on; of a classification expert one per row of its head. May be empty. */
  readonly bank: readonly string[];
  /** For a zero-shot expert: vectors of labels' texts, those of the bank and others. Labels without one are left out. */
  readonly texts?: {
    readonly labels: readonly string[];
    /** d_text wide, one per label. */
    readonly vectors: { readonly columns: number; readonly values: Float32Array };
  };
}

const mostBackground = 256;
/** With fewer models that the expert was not trained on, the background takes others in as well. */
const fewestBackground = 64;
const mostExamples = 512;
const mostTexts = 2048;
/** Share of an expert's own texts that lie nearer to another one than its radius. */
const within = 0.95;
/** Radius where there is one text alone. */
const loneRadius = 0.5;
/** Scales of known labels hold for their very texts: this far from the nearest, 1 − cosine, a query is new at the latest. */
const mostNovelty = 0.05;
/** Share of labels, of all that two models have, that makes one an example of the other. */
const alike = 0.5;

/**
 * Calibrates an expert's scores. Needs models that it was not trained on, with labels; what these do not allow to fit is
 * left out: scales of labels that were held out, say, where there are no models of such.
 *
 * Memory: four numbers for each pair of a label and a model, 400,000 at most.
 */
export function fitScoreCalibration(
  checkpoint: Pick<Checkpoint, "objective" | "head">,
  { models, bank, texts }: ScoreSample,
): ScoreModel {
  const { objective, head } = checkpoint;
  const isZeroshot = objective === "zeroshot";
  const width = models[0]?.representation.length ?? 0;
  const fresh = models.filter(({ isTrained }) => !isTrained);
  const background = toModelRows(width, pickBackground(models, fresh));
  const vectors = toVectors(texts);
  const toVectorRows = (labels: readonly string[]): Rows =>
    toRows(
      texts?.vectors.columns ?? 0,
      labels.flatMap((label) => vectors.get(label) ?? []),
    );
  const toCandidates = (labels: readonly string[], own: readonly ScoredModel[]): Candidates => ({
    labels,
    queries: labels.length === 0 ? toRows(width, []) : toLabelQueries(checkpoint, toVectorRows(labels)),
    models: own,
  });
  const withSome = (wanted: ReadonlySet<string>) =>
    fresh.filter(({ labels }) => labels.some((label) => wanted.has(label)));
  const known = isZeroshot ? bank.filter((label) => vectors.has(label)) : bank;
  const seenLabels = new Set(known);
  const newLabels = new Set(
    fresh.flatMap(({ labels }) => labels.filter((label) => vectors.has(label) && !seenLabels.has(label))),
  );
  const labelled = fresh.filter(({ labels }) => labels.length > 0);
  // A classification expert says of every model which labels it has not.
  const seen = toCandidates(known, isZeroshot ? withSome(seenLabels) : labelled);
  const unseen = toCandidates(isZeroshot ? [...newLabels] : [], withSome(newLabels));
  const logits = isZeroshot ? undefined : fitLogits(seen, head);
  const trainedTexts = toVectorRows(known.length > 0 ? known : [...vectors.keys()]);
  const judging = isZeroshot ? toUnitRows(thin(trainedTexts, mostTexts)) : toRows(0, []);
  const example = fitExamples(fresh, background);
  return {
    objective,
    background,
    labels: known,
    queries: seen.queries,
    texts: judging,
    radius: toRadius(judging),
    novelty: toNovelty(unseen.queries, seen.queries),
    text: toBySight(fitTexts(seen, labelled, background), fitTexts(unseen, labelled, background)),
    ...(example !== undefined && { example }),
    oneOfMany: isZeroshot ? fitLabels(seen, unseen) : toBySight(fitSoftmax(seen, head) ?? logits?.slope, undefined),
    ...(logits !== undefined && { anyOfMany: logits }),
  };
}

function fitLabels(known: Candidates, others: Candidates): LabelSoftmax {
  const [seen, unseen] = [fitSoftmax(known), fitSoftmax(others)];
  if (seen === undefined || unseen === undefined) return toBySight(seen, unseen);
  return { seen, unseen, offset: fitNewOffset(known, others, { seen, unseen }) };
}

/** Among all models, known labels and new, as a search has them: how rare matches are is a part of the scale. */
function fitTexts(
  { labels, queries, models: some }: Candidates,
  models: readonly ScoredModel[],
  background: Rows,
): ScoreScale | undefined {
  if (some.length < fewestModels) return undefined;
  const own = models.map((model) => new Set(model.labels));
  const units = toModelRows(background.width, models);
  const isMatch = (query: number, model: number): boolean => own[model]?.has(labels[query] ?? "") === true;
  return fitScoreScale({ queries, models: units, isMatch }, background);
}

function fitExamples(fresh: readonly ScoredModel[], background: Rows): ScoreScale | undefined {
  const labelled = takeEvenly(
    fresh.filter(({ labels }) => labels.length > 0),
    mostExamples,
  );
  if (labelled.length < fewestModels) return undefined;
  const units = toModelRows(background.width, labelled);
  const sets = labelled.map(({ labels }) => new Set(labels));
  const isMatch = (query: number, model: number): boolean | undefined => {
    const [a, b] = [sets[query], sets[model]];
    if (a === undefined || b === undefined || query === model) return undefined;
    const shared = [...a].filter((label) => b.has(label)).length;
    return shared >= alike * (a.size + b.size - shared);
  };
  return fitScoreScale({ queries: units, models: units, isMatch }, background);
}

/** How far texts that are trained on lie from the nearest other one. */
function toRadius(texts: Rows): number {
  const count = countRows(texts);
  if (count < 2) return count * loneRadius;
  const distances = Array.from({ length: count }, (_, row) => 1 - toNearestCosine(rowOf(texts, row), texts, row));
  return toTextRadius(distances, within);
}

function toNovelty(unseen: Rows, seen: Rows): number {
  if (countRows(seen) === 0) return 0;
  const distances = Array.from(
    { length: countRows(unseen) },
    (_, row) => 1 - toNearestCosine(rowOf(unseen, row), seen),
  );
  return Math.max(0, Math.min(mostNovelty, ...distances));
}

function toVectors(texts: ScoreSample["texts"]): Map<string, Float32Array> {
  if (texts === undefined) return new Map();
  const rows = { width: texts.vectors.columns, values: texts.vectors.values };
  return new Map(texts.labels.map((label, row) => [label, rowOf(rows, row)]));
}

function pickBackground(all: readonly ScoredModel[], fresh: readonly ScoredModel[]): readonly ScoredModel[] {
  if (fresh.length >= fewestBackground) return takeEvenly(fresh, mostBackground);
  const trained = all.filter(({ isTrained }) => isTrained);
  return [...fresh, ...takeEvenly(trained, mostBackground - fresh.length)];
}

function thin(rows: Rows, most: number): Rows {
  const count = countRows(rows);
  const kept = takeEvenly(
    Array.from({ length: count }, (_, row) => row),
    most,
  );
  return toRows(
    rows.width,
    kept.map((row) => rowOf(rows, row)),
  );
}

function toModelRows(width: number, models: readonly ScoredModel[]): Rows {
  return toUnitRows(
    toRows(
      width,
      models.map(({ representation }) => representation),
    ),
  );
}

function toBySight<T>(seen: T | undefined, unseen: T | undefined): BySight<T> {
  return { ...(seen !== undefined && { seen }), ...(unseen !== undefined && { unseen }) };
}
