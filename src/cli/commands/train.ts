import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { ProbestreamError } from "../../errors/probestream-error.js";
import { exists } from "../../system/exists.js";
import { scanDataset } from "../../training/datasets/scan-dataset.js";
import { type EpochReport, fitExpert } from "../../training/fit-expert.js";
import { defaultTrainSettings } from "../../training/train-settings.js";
import { toParameterShapes } from "../../training/train-shape.js";
import { writeExpert } from "../../training/write-expert.js";
import { calibrateScores } from "../calibrate-scores.js";
import { calibrate, toTreeLine } from "../calibration.js";
import { chooseLayer, type Trainable, toRules } from "../choose-layer.js";
import type { CommandContext } from "../command-context.js";
import { addDatasetOptions } from "../dataset-options.js";
import { formatClock } from "../duration.js";
import { exitCodes, usageError } from "../exit-codes.js";
import { assertTextOptions, type EncodedLabels, readLabelTexts } from "../label-texts.js";
import { readLabelSource } from "../labels-file.js";
import { type DatasetLayers, openLayers } from "../open-layers.js";
import { parseCount, parseNumber } from "../option-values.js";
import { toPercent } from "../percent.js";
import { hasUnusable, toScanLines } from "../scan-report.js";
import { toPlain } from "../table.js";
import { type TrainOptions, toSettings } from "../train-options.js";

const help = `
Labels come from the files' headers (--label-key) or from a file beside them (--labels),
.csv or .jsonl, with the fields "path" (below the folder, below that of the label file, or
absolute), one of "label", "labels" (a list) and "text" (a caption), and "split" if you
like. --separator splits a text into several labels; lists in brackets are split anyway.
Of kohya's ss_tag_frequency come the tags at least half as frequent as the most frequent.

A zero-shot expert (the default) needs to know what labels mean: --text-encoder, a folder
with an ONNX model and tokenizer.json or the id of such a model on the Hugging Face Hub
(Xenova/clip-vit-base-patch32), or --texts, a safetensors file with a vector for each label,
its names in the metadata "labels". A classification expert needs neither.

Splits come from --labels, from the headers (--split-key) or from folders called train,
val, test, val_holdout and test_holdout; where a model has none, all are made: a fifth of
the labels is held out, of the others an eighth of the models is for val and another for
test.

Layers are read once and kept in --cache. A run that is stopped goes on where it was when
the same command is given again. The expert that is written is the best on --best-on:
val for labels that it was trained on, val_holdout for those that it never saw. Then judge
it: \`probestream eval\`.

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
    .description("Trains an expert on one layer of many models and on what their headers say of them.")
    .argument("<folder>", "folder of models, searched with all folders in it")
    .requiredOption("--layer <module>", "module whose weights are read; auto: try all shortly, take the best")
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
    .addOption(
      new Option("--best-on <split>", "split that says which epoch is written")
        .choices(["val", "val_holdout"])
        .default("val"),
    )
    .option("--tree <name>", "what the models' tree is called (default: the name of --out)")
    .option("--parent-tree <name>", "the tree that it grew from, where its ancestor is a fine-tune itself")
    .option("--dry-run", "say what is there, and train nothing")
    .addHelpText("after", help)
    .action(async (folder: string, options: TrainOptions) => {
      context.exit(await train(folder, options, context));
    });
}

async function train(folder: string, options: TrainOptions, context: CommandContext): Promise<number> {
  const { signal, terminal } = context;
  const { objective, seed } = options;
  if (objective === "zeroshot") assertTextOptions(options);
  if (await exists(options.out)) throw usageError(`--out: ${options.out} exists already; give another name`);
  const { splitKey } = options;
  const source = await readLabelSource(options, signal);
  const dataset = await scanDataset(folder, {
    ...source,
    seed,
    holdsOut: objective === "zeroshot",
    signal,
    ...(splitKey !== undefined && { splitKey }),
  });
  for (const line of toScanLines(dataset)) await terminal.print(line);
  const rules = await toRules(dataset, options, context);
  if (options.dryRun === true) return hasUnusable(dataset) ? exitCodes.someFailed : exitCodes.success;
  const labels = [...new Set(dataset.models.flatMap((model) => model.labels))];
  const encoded = objective === "zeroshot" ? await readLabelTexts(options, labels, context) : undefined;
  const cache = options.cache ?? join(dirname(resolve(options.out)), ".probestream");
  const layers = await openLayers(dataset, rules, cache, context);
  try {
    const chosen = await chooseLayer(layers, encoded, options, context);
    await trainOn(chosen, encoded, cache, options, context);
    const isWhole = !hasUnusable(dataset) && chosen.layers.opened.refused.length === 0;
    return isWhole ? exitCodes.success : exitCodes.someFailed;
  } finally {
    await Promise.all(layers.map(({ opened }) => opened.close()));
  }
}

async function trainOn(
  { layers, shape, named }: Trainable,
  encoded: EncodedLabels | undefined,
  cache: string,
  options: TrainOptions,
  context: CommandContext,
): Promise<void> {
  const { signal, terminal } = context;
  const { objective, labelKey, labels, separator, splitKey, seed } = options;
  const settings = toSettings(options);
  const statePath = join(cache, `run-${toRunName(options.out)}.safetensors`);
  const startedAt = performance.now();
  const { best, reports } = await fitExpert(shape, named.data, {
    settings,
    statePath,
    signal,
    alsoEvaluate: ["test", "test_holdout"],
    onEpoch: (report) => showEpoch(report, settings.epochs, performance.now() - startedAt, context),
  });
  terminal.showStatus("");
  const bestOn = best.has(options.bestOn) ? options.bestOn : "val";
  const chosen = best.get(bestOn);
  if (chosen === undefined) throw usageError("no epoch was better than none: there is nothing to write");
  const { rows, columns } = shape.layer;
  const data = { labelKey, labels, separator, splitKey, seed };
  await writeExpert(options.out, {
    manifest: {
      objective,
      layer: { ...layers.rule, shape: { rows, columns } },
      labels: named.labels,
      ...(encoded?.text !== undefined && { text: encoded.text }),
      extra: { provenance: { data, settings, bestOn, epoch: chosen.epoch, reports } },
    },
    shapes: toParameterShapes(shape),
    parameters: chosen.parameters,
  });
  await rm(statePath, { force: true });
  await calibrateTree(layers, encoded, options, context);
  const report = reports[chosen.epoch];
  if (report !== undefined) await terminal.print(`best on ${bestOn}: ${toEpochText(report, settings.epochs)}`);
  await terminal.print(`the expert is in ${options.out}`);
}

/**
 * Measures the tree on the models, but for those kept for tests, and calibrates scores on those kept for validation: without
 * it the expert works, refuses nothing, and its cosines stay without a scale.
 */
async function calibrateTree(
  { models }: DatasetLayers,
  encoded: EncodedLabels | undefined,
  { out, tree = basename(resolve(out)), parentTree }: TrainOptions,
  context: CommandContext,
): Promise<void> {
  const own = models.filter(({ split }) => !split.startsWith("test"));
  const locations = own.map(({ location }) => location);
  const known = {
    models: new Map(own.map(({ location, labels, split }) => [location, { labels, isTrained: split === "train" }])),
    ...(encoded !== undefined && { texts: encoded.texts }),
  };
  const names = { name: tree, ...(parentTree !== undefined && { parent: parentTree }) };
  try {
    const measured = await calibrate(out, locations, names, context);
    await context.terminal.print(toPlain(toTreeLine(measured.tree)));
    await context.terminal.print(await calibrateScores(out, measured.representations, known, context.signal));
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof ProbestreamError)) throw error;
    context.terminal.remark(toPlain(`the expert is not calibrated: ${error.message}`));
  }
}

/** A run belongs to the expert that it makes. */
function toRunName(out: string): string {
  return createHash("sha256").update(resolve(out)).digest("hex").slice(0, 16);
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
  const shares = Object.entries(accuracies).map(([split, share]) => `${split} ${toPercent(share)}`);
  return [`epoch ${epoch + 1} of ${epochs}`, `loss ${loss.toFixed(3)}`, ...shares].join("  ");
}
