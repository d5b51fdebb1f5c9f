import { InvalidInputError } from "../errors/probestream-error.js";
import { countRows, type Rows, rowOf } from "../linalg/rows.js";
import { sigmoid } from "../linalg/sigmoid.js";
import { softmax } from "../linalg/softmax.js";
import { takeEvenly } from "../linalg/take-evenly.js";
import { toUnit } from "../linalg/unit.js";
import type { ScoreCalibration } from "./score-calibration.js";
import { type QueryBackground, toNearestCosine, toQueryBackground } from "./score-calibration-background.js";
import {
  type BySight,
  type ScoreModel,
  type ScoreScale,
  USUAL_SCALE,
  USUAL_SOFTMAX,
} from "./score-calibration-model.js";
import { toTextRadius } from "./text-radius.js";

/** Distance of a text that says nothing, 1 − cosine at its greatest. */
const farthest = 2;
/** The nearest query differs by rounding alone. */
const rounding = 1e-4;
/** Known labels whose distances tell how far such lie apart: as many as make it cost what a question with as many labels does. */
const mostForRadius = 256;
/** Share of them that lie within the radius: more than for texts, since the answer hangs on each label of a question. */
const within = 0.99;

/**
 * Makes a calibration work. Between texts that the expert was trained on and those as new as the ones held out, scales
 * go over from one to the other with the query's distance from the nearest known label; a label to choose from is one or
 * the other.
 *
 * One query costs its cosines with the background and with the known labels.
 */
export function createScoreCalibration(model: ScoreModel): ScoreCalibration {
  const { objective, background, labels, queries, texts, radius, text, example, oneOfMany, anyOfMany } = model;
  const rows = new Map(labels.map((label, row) => [label, row]));

  /** 1 − cosine with the nearest known label, once for each query: a question wants to know it of its labels twice. */
  const distances = new WeakMap<Float32Array, number>();
  const toDistance = (query: Float32Array): number => {
    const distance = distances.get(query) ?? 1 - toNearestCosine(query, queries);
    distances.set(query, distance);
    return distance;
  };

  /** 0 for a label that the expert was trained on, 1 for one as new as those that were held out. */
  const toNewness = (query: Float32Array): number => {
    if (text.seen === undefined || text.unseen === undefined) return text.seen === undefined ? 1 : 0;
    const distance = toDistance(query);
    return distance < rounding ? 0 : Math.min(1, distance / Math.max(rounding, model.novelty));
  };

  const toScorer: ScoreCalibration["toScorer"] = (query, kind) => {
    const spread = toQueryBackground(query, background);
    if (kind === "example") return (cosine) => sigmoid(toOdds(example ?? USUAL_SCALE, spread, cosine));
    const newness = toNewness(query);
    return (cosine) =>
      sigmoid(
        blend({ seen: toOddsOf(text.seen, spread, cosine), unseen: toOddsOf(text.unseen, spread, cosine) }, newness) ??
          toOdds(USUAL_SCALE, spread, cosine),
      );
  };

  let labelRadius: number | undefined;

  return {
    byteLength: [background, queries, texts].reduce((sum, { values }) => sum + values.byteLength, 0),
    fitted: {
      text: text.seen !== undefined || text.unseen !== undefined,
      example: example !== undefined,
      labels: oneOfMany.seen !== undefined || oneOfMany.unseen !== undefined,
    },
    labelQuery: (label) => {
      const row = rows.get(label);
      return row === undefined ? undefined : queries.values.slice(row * queries.width, (row + 1) * queries.width);
    },
    toScorer,
    toLabelJudge: async (mode, given, pace) => {
      if (mode === "one-of-many") {
        const usual = objective === "classification" ? 1 : USUAL_SOFTMAX;
        const { seen, unseen, offset = 0 } = oneOfMany;
        const [known, fresh] = [seen ?? unseen ?? usual, unseen ?? seen ?? usual];
        // Either known or new, so that labels of a kind keep the order of their cosines.
        const isNew = await mapPaced(given ?? [], (query) => toNewness(query) > 0.5, pace);
        return (values) =>
          softmax(
            Float64Array.from(values, (value, at) => (isNew[at] === true ? fresh * value + offset : known * value)),
            1,
          );
      }
      if (objective === "classification") {
        const { slope, offset } = anyOfMany ?? { slope: 1, offset: 0 };
        return (values) => Float64Array.from(values, (logit) => sigmoid(slope * logit + offset));
      }
      const scorers = await mapPaced(given ?? [], (query) => toScorer(query, "text"), pace);
      return (values) =>
        Float64Array.from(values, (cosine, at) => {
          const score = values.length === scorers.length ? scorers[at] : undefined;
          if (score !== undefined) return score(cosine);
          const message = `${values.length} cosines need the query of each; ${scorers.length} were given`;
          throw new InvalidInputError("FIELD_INVALID", message, { cosines: values.length, queries: scorers.length });
        });
    },
    areFamiliar: async (given, pace) => {
      labelRadius ??= await toLabelRadius(queries, pace);
      const radius = labelRadius;
      return mapPaced(given, (query) => toDistance(query) <= radius, pace);
    },
    judgeText: (vector) => {
      const isNothing = vector.every((value) => value === 0);
      if (isNothing || texts.values.length === 0) return { distance: farthest, radius };
      return { distance: Math.max(0, 1 - toNearestCosine(toUnit(vector), texts)), radius };
    },
  };
}

/** How far a label's query may lie from the nearest known one; no bound where there are too few to tell. */
async function toLabelRadius(queries: Rows, pace: (() => Promise<void>) | undefined): Promise<number> {
  const count = countRows(queries);
  if (count < 2) return Number.POSITIVE_INFINITY;
  const places = takeEvenly([...Array(count).keys()], mostForRadius);
  return toTextRadius(
    await mapPaced(places, (place) => 1 - toNearestCosine(rowOf(queries, place), queries, place), pace),
    within,
  );
}

function toOdds(
  { z, cosine: slope, offset }: ScoreScale,
  { mean: middle, deviation }: QueryBackground,
  cosine: number,
): number {
  return z * ((cosine - middle) / deviation) + slope * cosine + offset;
}

function toOddsOf(scale: ScoreScale | undefined, spread: QueryBackground, cosine: number): number | undefined {
  return scale && toOdds(scale, spread, cosine);
}

/** Between what holds for known labels and what for new ones; whichever there is, if there is only one. */
function blend({ seen, unseen }: BySight<number | undefined>, newness: number): number | undefined {
  if (seen === undefined || unseen === undefined) return seen ?? unseen;
  return (1 - newness) * seen + newness * unseen;
}

async function mapPaced<A, B>(
  items: readonly A[],
  step: (item: A) => B,
  pace: (() => Promise<void>) | undefined,
): Promise<readonly B[]> {
  const results: B[] = [];
  for (const item of items) {
    results.push(step(item));
    if (pace !== undefined) await pace();
  }
  return results;
}
