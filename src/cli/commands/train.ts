import { access, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { Objective } from "../../experts/checkpoint.js";
import { assertLayersDiffer } from "../../training/datasets/assert-layers-differ.js";
import type { LayerRule } from "../../training/datasets/describe-layer.js";
import { detectLayerKind } from "../../training/datasets/detect-layer-kind.js";
import { type Dataset, scanDataset } from "../../training/datasets/scan-dataset.js";
import { type EpochReport, fitExpert } from "../../training/fit-expert.js";
import { toTrainData } from "../../training/to-train-data.js";
import { defaultTrainSettings, type TrainSettings } from "../../training/train-settings.js";
import { type TrainShape, toParameterShapes } from "../../training/train-shape.js";
import { writeExpert } from "../../training/write-expert.js";
import type { CommandContext } from "../command-context.js";
import { addDatasetOptions, type DatasetOptions } from "../dataset-options.js";
import { formatClock } from "../duration.js";
import { exitCodes, usageError } from "../exit-codes.js";
import { readLabelSource } from "../labels-file.js";
import { openLayers } from "../open-layers.js";
import { parseCount, parseNumber } from "../option-values.js";
import { hasUnusable, toScanLines } from "../scan-report.js";
import { readTexts } from "../texts-file.js";

interface TrainOptions extends DatasetOptions {
  readonly layer: string;
  readonly out: string;
  readonly objective: Objective;
  readonly layout: LayerRule["layout"];
  readonly loraScale: LayerRule["loraScale"];
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly schedule: TrainSettings["schedule"];
  readonly patience?: number;
  readonly standardise?: boolean;
  readonly temperature: "fixed" | "learned";
  readonly probes: number;
  readonly projection: number;
  readonly representation: number;
  readonly seed: number;
  readonly dryRun?: boolean;
}

const help = `
Labels come from the files' headers (--label-key) or from a file beside them (--labels),
.csv or .jsonl, with the fields "path" (below the folder, below that of the label file, or
absolute), one of "label", "labels" (a list) and "text" (a caption), and "split" if you
like. --separator splits a text into several labels; lists in brackets are split anyway.
Of kohya's ss_tag_frequency come the tags at least half as frequent as the most frequent.

A zero-shot expert (the default) needs --texts: a safetensors file with a vector for each
label, its names in the metadata "labels". A classification expert needs none.

Splits come from --labels, from the headers (--split-key) or from folders called train,
val, test, val_holdout and test_holdout; where a model has none, all are made: a fifth of
the labels is held out, of the others an eighth of the models is for val and another for
test.

Layers are read once and kept in --cache. A run that is stopped goes on where it was when
the same command is given again. The expert that is written is the best on val.

Exit codes: 0 trained; 1 trained, but some files or rows could not be used; 2 the command
line or the data are wrong; 3 nothing could be trained; 130 stopped, to go on later.

Examples:
  $ probestream train models/ --label-key concept --layer lm.blocks.1.attn.to_out \\
      --texts labels.safetensors --out experts/mine --dry-run
      what is there? files, labels, splits, and what cannot be used
  $ probestream train models/ --label-key concept --layer lm.blocks.1.attn.to_out \\
      --texts labels.safetensors --out experts/mine
  $ probestream train models/ --labels labels.csv --layer lm.blocks.1.attn.to_out \\
      --objective classification --separator "|" --out experts/mine
  $ probestream serve --experts experts/
`;

const { zeroshot, classification } = defaultTrainSettings;

/** Adds `train`. */
export function addTrain(program: Command, context: CommandContext): void {
  const command = program
    .command("train")
    .summary("train an expert on a folder of models that something is known about")
    .description("Trains an expert on one layer of many models and on what their headers say of them.")
    .argument("<folder>", "folder of models, searched with all folders in it")
    .requiredOption("--layer <module>", "module whose weights are read, for example lm.blocks.1.attn.to_out")
    .requiredOption("--out <folder>", "expert folder that is made; it must not exist")
    .addOption(
      new Option("--objective <objective>", "what the expert learns to tell")
        .choices(["zeroshot", "classification"])
        .default("zeroshot"),
    )
    .addOption(
      new Option("--layout <layout>", "how a dense layer is stored")
        .choices(["linear", "transposed", "conv", "vector"])
        .default("linear"),
    )
    .addOption(
      new Option("--lora-scale <rule>", "whether LoRA layers are scaled by alpha / rank")
        .choices(["apply", "none"])
        .default("apply"),
    );
  addDatasetOptions(command)
    .option("--epochs <n>", "times that each model is seen", parseCount, zeroshot.epochs)
    .option("--batch-size <n>", "models per step", parseCount, zeroshot.batchSize)
    .option(
      "--learning-rate <x>",
      `Adam's (default: ${zeroshot.learningRate}, for classification ${classification.learningRate})`,
      parseNumber,
    )
    .option(
      "--weight-decay <x>",
      `added to the gradient (default: ${zeroshot.weightDecay}, for classification ${classification.weightDecay})`,
      parseNumber,
    )
    .addOption(
      new Option("--schedule <schedule>", "whether the learning rate stays or falls to 0 along a cosine")
        .choices(["constant", "cosine"])
        .default(zeroshot.schedule),
    )
    .option("--patience <n>", "end after so many evaluations without a better one (default: never)", parseCount)
    .option("--standardise", "scale layers so that the first responses have a variance of 1")
    .addOption(
      new Option("--temperature <rule>", "of cosines in the zero-shot loss")
        .choices(["fixed", "learned"])
        .default("fixed"),
    )
    .option("--probes <n>", "probes r_U", parseCount, 128)
    .option("--projection <n>", "width r_V of the shared projection", parseCount, 128)
    .option("--representation <n>", "width r_T of a representation", parseCount, 128)
    .option("--seed <n>", "draws first weights, orders and splits", parseCount, 1)
    .option("--dry-run", "say what is there, and train nothing")
    .addHelpText("after", help)
    .action(async (folder: string, options: TrainOptions) => {
      context.exit(await train(folder, options, context));
    });
}

async function train(folder: string, options: TrainOptions, context: CommandContext): Promise<number> {
  const { signal, terminal } = context;
  const { objective, seed } = options;
  if (objective === "zeroshot" && options.texts === undefined) {
    throw usageError("a zero-shot expert needs --texts; --objective classification needs none");
  }
  const exists = await access(options.out).then(
    () => true,
    () => false,
  );
  if (exists) throw usageError(`--out: ${options.out} exists already; give another name`);
  const { labelKey, labels: labelFile, separator, splitKey } = options;
  const source = await readLabelSource(options, signal);
  const texts = options.texts === undefined ? undefined : await readTexts(options.texts, signal);
  const dataset = await scanDataset(folder, {
    ...source,
    seed,
    holdsOut: objective === "zeroshot",
    signal,
    ...(splitKey !== undefined && { splitKey }),
  });
  for (const line of toScanLines(dataset)) await terminal.print(line);
  const rule = await toRule(dataset, options, signal);
  if (options.dryRun === true) return hasUnusable(dataset) ? exitCodes.someFailed : exitCodes.success;

  const cache = options.cache ?? join(dirname(resolve(options.out)), ".probestream");
  const [layers] = await openLayers(dataset, [rule], cache, context);
  if (layers === undefined) return exitCodes.unusable;
  const { opened, models } = layers;
  try {
    await assertLayersDiffer(opened.layers, rule.module, signal);
    const { data, labels } = toTrainData(objective, opened.layers, models, texts);
    const shape: TrainShape = {
      objective,
      layer: opened.layers.layer,
      probes: options.probes,
      projection: options.projection,
      representation: options.representation,
      labels: labels.length,
      ...(texts !== undefined &&
        objective === "zeroshot" && {
          textWidth: texts.vectors.columns,
          ...(options.temperature === "learned" && { temperature: "learned" as const }),
        }),
    };
    const { learningRate, weightDecay } = { ...defaultTrainSettings[objective], ...toGiven(options) };
    const { epochs, batchSize, schedule, patience = 0, standardise = false } = options;
    const settings: TrainSettings = {
      ...defaultTrainSettings[objective],
      ...{ epochs, batchSize, learningRate, weightDecay, schedule, patience, standardise, seed },
    };
    const statePath = join(cache, `run-${toRunName(options.out)}.safetensors`);
    const startedAt = performance.now();
    const { best, reports } = await fitExpert(shape, data, {
      settings,
      statePath,
      signal,
      alsoEvaluate: ["test", "test_holdout"],
      onEpoch: (report) => showEpoch(report, epochs, performance.now() - startedAt, context),
    });
    terminal.showStatus("");
    const chosen = best.get("val");
    if (chosen === undefined) return exitCodes.unusable;
    const { rows, columns } = opened.layers.layer;
    await writeExpert(options.out, {
      manifest: {
        objective,
        layer: { ...rule, shape: { rows, columns } },
        labels,
        extra: {
          provenance: {
            data: { labelKey, labels: labelFile, separator, splitKey, seed },
            settings,
            epoch: chosen.epoch,
            reports,
          },
        },
      },
      shapes: toParameterShapes(shape),
      parameters: chosen.parameters,
    });
    await rm(statePath, { force: true });
    const report = reports[chosen.epoch];
    if (report !== undefined) await terminal.print(`best on val: ${toEpochText(report, epochs)}`);
    await terminal.print(`the expert is in ${options.out}`);
    return hasUnusable(dataset) || opened.refused.length > 0 ? exitCodes.someFailed : exitCodes.success;
  } finally {
    await opened.close();
  }
}

function toGiven({ learningRate, weightDecay }: TrainOptions): { learningRate?: number; weightDecay?: number } {
  return { ...(learningRate !== undefined && { learningRate }), ...(weightDecay !== undefined && { weightDecay }) };
}

/** The layer as most models have it: as LoRA factors, or dense. */
async function toRule({ models }: Dataset, options: TrainOptions, signal: AbortSignal): Promise<LayerRule> {
  const { layer: module, layout, loraScale } = options;
  if (models.length === 0) {
    const { labels, labelKey } = options;
    const place = labels === undefined ? `its metadata under "${labelKey}"` : `"${labels}" that can be used`;
    throw usageError(`no model has a label in ${place}`);
  }
  const locations = models.map(({ location }) => location);
  const kind = await detectLayerKind(locations, module, signal);
  if (kind === "lora") return { module, kind, layout: "linear", loraScale };
  return { module, kind, layout, loraScale: "none" };
}

/** A run belongs to the expert that it makes. */
function toRunName(out: string): string {
  return Buffer.from(resolve(out)).toString("base64url").slice(-40);
}

function showEpoch(report: EpochReport, epochs: number, elapsedMs: number, { terminal }: CommandContext): void {
  const left = (elapsedMs / 1000 / (report.epoch + 1)) * (epochs - report.epoch - 1);
  if (terminal.hasStatus) terminal.showStatus(`${toEpochText(report, epochs)}  ${formatClock(left)} left`);
  else if (isEvaluated(report)) terminal.remark(`${toEpochText(report, epochs)}, ${formatClock(left)} left`);
}

function isEvaluated({ accuracies }: EpochReport): boolean {
  return Object.keys(accuracies).length > 0;
}

function toEpochText({ epoch, loss, accuracies }: EpochReport, epochs: number): string {
  const shares = Object.entries(accuracies).map(([split, share]) => `${split} ${(100 * share).toFixed(1)}%`);
  return [`epoch ${epoch + 1} of ${epochs}`, `loss ${loss.toFixed(3)}`, ...shares].join("  ");
}
