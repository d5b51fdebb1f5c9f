import { loadExpert } from "../experts/expert.js";
import { fitScoreCalibration } from "../experts/fit-score-calibration.js";
import { writeScoreModel } from "../experts/score-calibration-file.js";
import type { ScoreModel } from "../experts/score-calibration-model.js";
import type { LabelTexts } from "../training/to-train-data.js";
import { toCount } from "./embed-report.js";

/** What is known of models that scores are calibrated on. */
export interface KnownModels {
  /** By location; a model that is not there, or has no labels, is background only. */
  readonly models: ReadonlyMap<string, { readonly labels: readonly string[]; readonly isTrained: boolean }>;
  /** For a zero-shot expert: vectors of the labels' texts. */
  readonly texts?: LabelTexts;
}

/**
 * Calibrates an expert's scores on representations of models of its tree, and writes that into its folder.
 *
 * @param representations as the expert gives them, by location.
 * @returns what it came to, for people: what was fitted, and what is missing.
 */
export async function calibrateScores(
  folder: string,
  representations: ReadonlyMap<string, Float32Array>,
  { models, texts }: KnownModels,
  signal: AbortSignal,
): Promise<string> {
  const { expert, checkpoint } = await loadExpert(folder, signal);
  const sample = [...representations].map(([location, representation]) => ({
    representation,
    ...(models.get(location) ?? { labels: [], isTrained: false }),
  }));
  const model = fitScoreCalibration(checkpoint, {
    models: sample,
    bank: expert.labels,
    ...(texts !== undefined && { texts }),
  });
  await writeScoreModel(folder, expert.spaceId, model);
  const labelled = sample.filter(({ labels, isTrained }) => labels.length > 0 && !isTrained).length;
  return toScoreLine(model, labelled);
}

function toScoreLine({ objective, background, text, example, oneOfMany }: ScoreModel, labelled: number): string {
  const known = "known labels";
  const parts: readonly (readonly [string, boolean])[] = [
    [`texts of ${known}`, text.seen !== undefined],
    ...(objective === "zeroshot" ? [["texts of new labels", text.unseen !== undefined] as const] : []),
    ["models as queries", example !== undefined],
    ["labels to choose from", oneOfMany.seen !== undefined || oneOfMany.unseen !== undefined],
  ];
  const [done, missing] = [true, false].map((wanted) =>
    parts.filter(([, isFitted]) => isFitted === wanted).map(([name]) => name),
  );
  const count = background.values.length / Math.max(1, background.width);
  const base = `scores: a background of ${toCount(count, "model")}`;
  const fitted = done?.length
    ? `; probabilities fitted on ${toCount(labelled, "labelled model")} for ${done.join(", ")}`
    : "";
  const rest = missing?.length ? `; not fitted: ${missing.join(", ")}` : "";
  return `${base}${fitted}${rest}`;
}
