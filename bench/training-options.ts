import { readTexts } from "../src/search/read-texts.js";
import { openPackedLayers } from "../src/training/datasets/open-packed-layers.js";
import { packLayers } from "../src/training/datasets/pack-layers.js";
import { scanDataset } from "../src/training/datasets/scan-dataset.js";
import { fitExpert } from "../src/training/fit-expert.js";
import { toTrainData } from "../src/training/to-train-data.js";
import { defaultTrainSettings, type TrainSettings } from "../src/training/train-settings.js";
import type { TrainShape } from "../src/training/train-shape.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { mean, toMarkdownTable } from "./report.js";

/** What differs from the authors' recipe. */
type Change = Partial<TrainSettings> & Pick<TrainShape, "temperature">;

const changes: Readonly<Record<string, Change>> = {
  recipe: {},
  temperature: { temperature: "learned" },
  standardise: { standardise: true },
  cosine: { schedule: "cosine" },
  patience: { patience: 3 },
  "decay-1e-4": { weightDecay: 1e-4 },
  "decay-1e-3": { weightDecay: 1e-3 },
  "standardise+cosine": { standardise: true, schedule: "cosine" },
  "standardise+temperature": { standardise: true, temperature: "learned" },
  "standardise+decay-1e-4": { standardise: true, weightDecay: 1e-4 },
};

/** Accuracies of one seed, of the checkpoint best on val_holdout and, for test, of that best on val. */
interface Run {
  readonly epochs: number;
  readonly test: number;
  readonly valHoldout: number;
  readonly testHoldout: number;
}

/** Which options of training pay? Chosen on val_holdout, then read on test_holdout. */
export const trainingOptions: Bench = {
  summary: "accuracy of a zero-shot expert with each option of training, over several seeds",
  options: {
    zoo: { help: "folder of models with splits in their headers", fallback: "" },
    texts: { help: "vectors of the labels' texts", fallback: "" },
    "label-key": { help: "metadata key of the label", fallback: "concept" },
    layer: { help: "module that is trained on", fallback: "" },
    changes: { help: `of ${Object.keys(changes).join(", ")}`, fallback: Object.keys(changes).join(",") },
    seeds: { help: "seeds of each", fallback: "5" },
    epochs: { help: "epochs of each", fallback: "100" },
    cache: { help: "folder for packed layers", fallback: ".cache/layers" },
  },
  run: measure,
};

async function measure(options: BenchOptions): Promise<boolean> {
  const texts = await readTexts(options.text("texts"));
  const dataset = await scanDataset(options.text("zoo"), { labelKey: options.text("label-key") });
  const rule = { module: options.text("layer"), kind: "lora", layout: "linear", loraScale: "none" } as const;
  const [packed] = await packLayers(
    dataset.models.map(({ location }) => location),
    [rule],
    { folder: options.text("cache") },
  );
  if (packed === undefined) throw new Error("nothing was packed");
  const { layers, kept, close } = await openPackedLayers(packed);
  const models = kept.flatMap((index) => dataset.models[index] ?? []);
  const { data, labels } = toTrainData("zeroshot", layers, models, texts);
  const shape: TrainShape = {
    objective: "zeroshot",
    layer: layers.layer,
    probes: 128,
    projection: 128,
    representation: 128,
    labels: labels.length,
    textWidth: texts.vectors.columns,
  };
  const rows: string[][] = [];
  for (const name of options.text("changes").split(",")) {
    const { temperature, ...settings } = changes[name] ?? {};
    if (changes[name] === undefined) throw new Error(`--changes names ${name}`);
    const runs: Run[] = [];
    for (let seed = 0; seed < options.count("seeds"); seed++) {
      const { best, reports } = await fitExpert({ ...shape, ...(temperature !== undefined && { temperature }) }, data, {
        settings: { ...defaultTrainSettings.zeroshot, epochs: options.count("epochs"), ...settings, seed },
        alsoEvaluate: ["test", "test_holdout"],
      });
      const [seen, heldOut] = [best.get("val")?.epoch ?? -1, best.get("val_holdout")?.epoch ?? -1];
      runs.push({
        epochs: reports.length,
        test: reports[seen]?.accuracies.test ?? Number.NaN,
        valHoldout: reports[heldOut]?.accuracies.val_holdout ?? Number.NaN,
        testHoldout: reports[heldOut]?.accuracies.test_holdout ?? Number.NaN,
      });
      console.log(`${name}, seed ${seed}: ${JSON.stringify(runs.at(-1))}`);
    }
    rows.push([
      name,
      toMean(runs.map(({ test }) => test)),
      toMean(runs.map(({ valHoldout }) => valHoldout)),
      toMean(runs.map(({ testHoldout }) => testHoldout)),
      toMean(
        runs.map(({ epochs }) => epochs / 100),
        0,
      ),
    ]);
  }
  await close();
  console.log(`\n${toMarkdownTable(["option", "test %", "val_holdout %", "test_holdout %", "epochs"], rows)}`);
  return true;
}

/** Mean ± standard deviation, per cent. */
function toMean(values: readonly number[], digits = 1): string {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  const deviation = Math.sqrt(squares / Math.max(1, values.length - 1));
  return `${(100 * middle).toFixed(digits)} ± ${(100 * deviation).toFixed(digits)}`;
}
