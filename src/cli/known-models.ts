import type { Expert } from "../experts/expert.js";
import { readScoreCalibration } from "../experts/score-calibration-file.js";
import { scanDataset } from "../training/datasets/scan-dataset.js";
import { assertNamesLabels } from "./assert-names-labels.js";
import type { KnownModels } from "./calibrate-scores.js";
import type { CommandContext } from "./command-context.js";
import { usageError } from "./exit-codes.js";
import { readExpertTexts } from "./expert-texts.js";
import { assertTextOptions, type TextOptions } from "./label-texts.js";
import { type LabelOptions, readLabelSource } from "./labels-file.js";

/** Options that say what is known of models. */
export interface KnownModelsOptions extends LabelOptions, TextOptions {
  readonly splitKey?: string;
}

/**
 * Reads what headers or a label file say of models, to calibrate an expert's scores on. Models of the split train count as
 * trained on, those of test and test_holdout as unknown, so that scores can still be tried on them. A zero-shot expert also
 * wants the vectors of the labels' texts; without, models as queries are calibrated alone.
 *
 * @param paths files and folders; rows of a label file are looked for below each.
 * @returns undefined if nothing is known and the expert's scores are calibrated already: they stay.
 */
export async function readKnownModels(
  expert: Expert,
  paths: readonly string[],
  options: KnownModelsOptions,
  context: CommandContext,
): Promise<KnownModels | undefined> {
  const { signal } = context;
  const { labelKey, labels, texts, textEncoder, splitKey } = options;
  const hasTexts = texts !== undefined || textEncoder !== undefined;
  if (labelKey === undefined && labels === undefined) {
    if (hasTexts) throw usageError("texts of labels are of use with --label-key or --labels, which are not there");
    const present = await readScoreCalibration(expert).catch(() => undefined);
    return present === undefined ? { models: new Map() } : undefined;
  }
  if (expert.objective === "zeroshot" && hasTexts) assertTextOptions(options);
  if (expert.objective === "classification" && hasTexts) {
    throw usageError("a classification expert has no texts: leave out --text-encoder and --texts");
  }
  assertNamesLabels(expert, expert.folder);
  const source = await readLabelSource(options, signal);
  const models = new Map<string, { readonly labels: readonly string[]; readonly isTrained: boolean }>();
  for (const path of paths) {
    const scanned = { ...source, holdsOut: false, signal, ...(splitKey !== undefined && { splitKey }) };
    const { models: found, splitSource } = await scanDataset(path, scanned);
    for (const { location, labels: own, split } of found) {
      // Splits that are drawn say nothing of what the expert was trained on.
      const isKept = splitSource === "made" || !split.startsWith("test");
      models.set(location, { labels: isKept ? own : [], isTrained: splitSource === "files" && split === "train" });
    }
  }
  if ([...models.values()].every((model) => model.labels.length === 0)) {
    throw usageError(`none of the models has a label that can be used (splits test and test_holdout are left out)`);
  }
  if (!hasTexts || expert.objective === "classification") return { models };
  const all = [...new Set([...expert.labels, ...[...models.values()].flatMap((model) => model.labels)])];
  return { models, texts: await readExpertTexts(expert, all, options, context) };
}
