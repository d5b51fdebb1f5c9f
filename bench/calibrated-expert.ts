import { access, rm } from "node:fs/promises";
import { join } from "node:path";
import { openCatalogue } from "../src/experts/catalogue.js";
import { createScoreCalibration } from "../src/experts/create-score-calibration.js";
import { loadExpert } from "../src/experts/expert.js";
import { toLabelQueries } from "../src/experts/label-queries.js";
import type { ScoreCalibration } from "../src/experts/score-calibration.js";
import { readScoreModel } from "../src/experts/score-calibration-file.js";
import { rowOf } from "../src/linalg/rows.js";
import { toUnitRows } from "../src/linalg/unit.js";
import { embedFiles } from "../src/search/embed-files.js";
import { startEmbedder } from "../src/search/embedder.js";
import { createLocalPort } from "../src/search/local-port.js";
import { openTextEncoder } from "../src/text/open-text-encoder.js";
import { scanDataset } from "../src/training/datasets/scan-dataset.js";
import { runChild } from "./child-process.js";
import { mainScript } from "./repository-root.js";

/** A tree, and how an expert for it is trained. */
export interface Recipe {
  /** Folder of models with splits in their headers. */
  readonly models: string;
  readonly labelKey: string;
  readonly objective: "zeroshot" | "classification";
  /** Folder of the text encoder; zero-shot only. */
  readonly encoder?: string;
  readonly prompt?: string;
  /** What else `train` is told. */
  readonly words: readonly string[];
}

/** A model that the expert was not trained on, or was. */
export interface PlacedModel {
  readonly labels: readonly string[];
  readonly split: string;
  readonly representation: Float32Array;
  /** The same at unit length. */
  readonly unit: Float32Array;
}

/** An expert that `train` made and calibrated, with models of its tree. */
export interface CalibratedExpert {
  readonly objective: "zeroshot" | "classification";
  /** Labels that it was trained on. */
  readonly bank: readonly string[];
  readonly calibration: ScoreCalibration;
  /** The same with the background alone, as where no labels were given. */
  readonly unlabelled: ScoreCalibration;
  readonly models: readonly PlacedModel[];
  /** What a label is searched by: its text where the expert can judge it, its row of the head; undefined otherwise. */
  toQuery(label: string): Float32Array | undefined;
  toLogits(representation: Float32Array): Float32Array;
}

/** Trains an expert as a user would, unless it is there already from an earlier run. */
export async function trainExpert(folder: string, recipe: Recipe, seed: number): Promise<void> {
  const done = await access(join(folder, "scores.safetensors")).then(
    () => true,
    () => false,
  );
  if (done) return;
  await rm(folder, { recursive: true, force: true });
  const { models, labelKey, objective, encoder, prompt, words } = recipe;
  const args = ["train", models, "--label-key", labelKey, "--objective", objective, "--out", folder];
  if (encoder !== undefined) args.push("--text-encoder", encoder, "--prompt", prompt ?? "{}");
  await runChild({ program: process.execPath, args: [mainScript, ...args, ...words, "--seed", String(seed)] });
}

/** Opens an expert that was trained, and embeds models of its tree: those of the recipe, and more of some other folders. */
export async function openCalibratedExpert(
  folder: string,
  { models: own, labelKey, encoder, prompt = "{}" }: Recipe,
  more: readonly string[] = [],
): Promise<CalibratedExpert> {
  const { expert, checkpoint } = await loadExpert(folder);
  const model = await readScoreModel(expert, expert.extra);
  if (model === undefined) throw new Error(`${folder} is not calibrated`);
  const calibration = createScoreCalibration(model);
  const { example: _, anyOfMany: __, ...background } = model;
  const models: PlacedModel[] = [];
  for (const [index, path] of [own, ...more].entries()) {
    const dataset = await scanDataset(path, { labelKey });
    for (const { representation, place } of await embed(folder, expert.spaceId, dataset.models)) {
      const { labels, split } = dataset.models[place] ?? { labels: [], split: "" };
      const unit = toUnitRows({ width: representation.length, values: representation }).values;
      models.push({ labels, split: index === 0 ? split : `fresh ${split}`, representation, unit });
    }
  }
  const texts = new Map<string, { readonly vector: Float32Array; readonly query: Float32Array }>();
  if (encoder !== undefined) {
    const labels = [...new Set(models.flatMap((one) => one.labels))];
    const open = await openTextEncoder(encoder);
    const vectors = await open.encode(labels.map((label) => prompt.replaceAll("{}", label)));
    await open.dispose();
    const rows = { width: vectors.columns, values: vectors.values };
    const queries = toLabelQueries(checkpoint, rows);
    for (const [row, label] of labels.entries()) {
      texts.set(label, { vector: rowOf(rows, row), query: rowOf(queries, row) });
    }
  }
  const { weight, bias } = checkpoint.head;
  return {
    objective: expert.objective,
    bank: expert.labels,
    calibration,
    unlabelled: createScoreCalibration({ ...background, text: {}, oneOfMany: {} }),
    models,
    toQuery: (label) => {
      if (expert.objective === "classification") return calibration.labelQuery(label);
      const text = texts.get(label);
      if (text === undefined) return undefined;
      const { distance, radius } = calibration.judgeText(text.vector);
      return distance <= radius ? text.query : undefined;
    },
    toLogits: (representation) =>
      bias.map((value, row) =>
        representation.reduce(
          (sum, one, at) => sum + one * (weight.values[row * weight.columns + at] as number),
          value,
        ),
      ),
  };
}

async function embed(
  folder: string,
  spaceId: string,
  models: readonly { readonly location: string }[],
): Promise<{ readonly representation: Float32Array; readonly place: number }[]> {
  const port = createLocalPort(await startEmbedder({ catalogue: openCatalogue(folder), backend: "onnx" }));
  const found: { readonly representation: Float32Array; readonly place: number }[] = [];
  try {
    const locations = models.map(({ location }) => location);
    for await (const { index, outcome } of embedFiles(locations, port, { experts: [spaceId] })) {
      if (outcome instanceof Error) throw outcome;
      const [embedding] = outcome.embeddings;
      if (embedding !== undefined) found.push({ representation: embedding.representation, place: index });
    }
  } finally {
    await port.close();
  }
  return found;
}
