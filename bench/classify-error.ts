import { dot } from "../src/linalg/dot.js";
import { Random } from "../src/linalg/random.js";
import { type Answer, toCalibration } from "../src/training/evaluation/calibration.js";
import type { CalibratedExpert, PlacedModel } from "./calibrated-expert.js";
import { mean } from "./report.js";

/** How good the probabilities of some answers are. */
export interface ClassifyError {
  readonly answers: number;
  readonly confidence: number;
  readonly accuracy: number;
  /** Expected calibration error, 15 bins. */
  readonly error: number;
  /** What it would be on average if every probability were right: so few answers cannot measure less. */
  readonly floor: number;
}

/** Answers of the best label of each model: its probability, and whether it is right. */
export async function toTopAnswers(
  { calibration, toQuery }: CalibratedExpert,
  models: readonly PlacedModel[],
  candidates: readonly string[],
): Promise<Answer[]> {
  const queries = candidates.flatMap((label) => toQuery(label) ?? []);
  if (queries.length !== candidates.length) throw new Error("a candidate cannot be judged");
  const judge = await calibration.toLabelJudge("one-of-many", queries);
  return models.map(({ unit, labels }) => {
    const shares = judge(Float32Array.from(queries, (query) => dot(query, unit)));
    const best = shares.indexOf(Math.max(...shares));
    return { confidence: shares[best] ?? 0, isRight: labels.includes(candidates[best] ?? "") };
  });
}

/** Answers of each label of each model by itself. */
export async function toLabelAnswers(
  { objective, calibration, bank, toQuery, toLogits }: CalibratedExpert,
  models: readonly PlacedModel[],
  candidates: readonly string[] = bank,
): Promise<Answer[]> {
  const queries = candidates.flatMap((label) => toQuery(label) ?? []);
  const judge = await calibration.toLabelJudge("any-of-many", objective === "classification" ? undefined : queries);
  return models.flatMap(({ unit, representation, labels }) => {
    const values =
      objective === "classification"
        ? toLogits(representation)
        : Float32Array.from(queries, (query) => dot(query, unit));
    const shares = judge(values);
    return candidates.map((label, at) => ({ confidence: shares[at] ?? 0, isRight: labels.includes(label) }));
  });
}

const draws = 200;

/** The error of answers, and the least that it could be told to be. */
export function toClassifyError(answers: readonly Answer[]): ClassifyError {
  const random = new Random(1);
  const rounds = answers.length > 10_000 ? draws / 20 : draws;
  const floors = Array.from(
    { length: rounds },
    () => toCalibration(answers.map(({ confidence }) => ({ confidence, isRight: random.next() < confidence }))).error,
  );
  return {
    answers: answers.length,
    confidence: mean(answers.map(({ confidence }) => confidence)),
    accuracy: mean(answers.map(({ isRight }) => Number(isRight))),
    error: toCalibration(answers).error,
    floor: mean(floors),
  };
}
