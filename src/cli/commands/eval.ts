import { readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { loadExpert, manifestName } from "../../experts/expert.js";
import { parseExpertManifest } from "../../experts/expert-manifest.js";
import { type LabelSource, scanDataset } from "../../training/datasets/scan-dataset.js";
import { evaluateExpert } from "../../training/evaluation/evaluate-expert.js";
import type { EpochReport } from "../../training/fit-expert.js";
import { toHtml } from "../../training/report/to-html.js";
import { toParameters } from "../../training/to-parameters.js";
import { toEvaluationData } from "../../training/to-train-data.js";
import { assertNamesLabels } from "../assert-names-labels.js";
import type { CommandContext } from "../command-context.js";
import { addDatasetOptions, type DatasetOptions } from "../dataset-options.js";
import { toEvaluationLines } from "../evaluation-table.js";
import { exitCodes, usageError } from "../exit-codes.js";
import { readExpertTexts } from "../expert-texts.js";
import { assertTextOptions } from "../label-texts.js";
import { type LabelOptions, readLabelSource } from "../labels-file.js";
import { openLayers } from "../open-layers.js";
import { parseCount } from "../option-values.js";
import { hasUnusable, toScanLines } from "../scan-report.js";
import { assertWritable } from "../written-file.js";

interface EvalOptions extends DatasetOptions {
  readonly seed?: number;
  readonly report?: string;
  readonly json?: boolean;
}

const help = `
Labels and splits are found as \`train\` found them: an expert that \`train\` made remembers
--label-key or --labels, --separator, --split-key and --seed. A zero-shot expert needs --text-encoder
or --texts, those of the training; the prompt is that of the training unless one is given.

What is measured, on each split but train, with 95 % intervals over models: top-1 and top-5
(label accuracy for classification), retrieval (each label ranks all models: mAP), one-class
AUC, calibration, each label by itself; beside the expert the nearest neighbours of its
representations, a linear model of all weights, one of weight statistics, and chance.

Exit codes: 0 evaluated; 1 evaluated, but some files could not be used; 2 the command line
is wrong; 3 nothing could be evaluated.

Examples:
  $ probestream eval experts/mine models/ --texts labels.safetensors --report mine.html
      a table here, and a page with pictures to open in a browser
  $ probestream eval experts/mine models/ --texts labels.safetensors --json | jq .splits[1]
`;

/** Adds `eval`. */
export function addEval(program: Command, context: CommandContext): void {
  const command = program
    .command("eval")
    .description("Evaluates an expert on a folder of models that something is known about.")
    .argument("<expert>", "expert folder")
    .argument("<folder>", "folder of models, searched with all folders in it");
  addDatasetOptions(command)
    .option("--seed <n>", "draws splits where files say none (default: that of the training)", parseCount)
    .option("--report <file.html>", "write a page with learning curves, confusions and a map as well")
    .option("--json", "one JSON object instead of the table")
    .addHelpText("after", help)
    .action(async (expert: string, folder: string, options: EvalOptions) => {
      context.exit(await evaluate(expert, folder, options, context));
    });
}

async function evaluate(
  expertFolder: string,
  folder: string,
  options: EvalOptions,
  context: CommandContext,
): Promise<number> {
  const { signal, terminal } = context;
  const startedAt = performance.now();
  const { expert, checkpoint } = await loadExpert(expertFolder, signal);
  const training = await readTraining(expertFolder);
  const hasSource = options.labelKey !== undefined || options.labels !== undefined;
  const source = await readLabelSource(hasSource ? options : { ...training.data, ...options }, signal);
  const { splitKey } = { ...training.data, ...options };
  const { objective } = expert;
  if (objective === "zeroshot") assertTextOptions(options);
  assertNamesLabels(expert, expertFolder);
  if (options.report !== undefined) await assertWritable("--report", resolve(options.report));
  const dataset = await scanDataset(folder, {
    ...source,
    seed: options.seed ?? training.data.seed ?? 1,
    holdsOut: objective === "zeroshot",
    signal,
    ...(splitKey !== undefined && { splitKey }),
  });
  if (options.json !== true) for (const line of toScanLines(dataset)) await terminal.print(line);
  if (dataset.models.length === 0) throw usageError(`no model in ${folder} has a label ${toPlace(source)}`);
  const labelled = [...new Set(dataset.models.flatMap((model) => model.labels))];
  const texts = objective === "zeroshot" ? await readExpertTexts(expert, labelled, options, context) : undefined;
  const cache = options.cache ?? join(dirname(resolve(expertFolder)), ".probestream");
  const [layers] = await openLayers(dataset, [expert.layer], cache, context);
  if (layers === undefined) return exitCodes.unusable;
  const { opened, models } = layers;
  try {
    const named = toEvaluationData(objective, opened.layers, models, texts, expert.labels);
    const { shape, parameters } = toParameters(checkpoint, opened.layers, named.labels.length);
    assertFits(shape.layer, expert.layer.shape, folder);
    const evaluation = await evaluateExpert(shape, parameters, named, {
      signal,
      onStage: (stage) => terminal.showStatus(`${stage} …`),
    });
    terminal.showStatus("");
    if (options.json === true) await terminal.print(JSON.stringify({ spaceId: expert.spaceId, ...evaluation }));
    else for (const line of toEvaluationLines(evaluation)) await terminal.print(line);
    if (options.report !== undefined) {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
      const { module, kind } = expert.layer;
      const { architecture, representationWidth } = expert;
      const page = toHtml({
        title: `${basename(resolve(expertFolder))}, evaluated`,
        facts: [
          ["expert", expertFolder],
          ["space id", expert.spaceId],
          ["objective", objective === "zeroshot" ? "zero-shot: compares with texts" : "classification"],
          ["layer", `${module} (${kind}), ${expert.layer.shape.rows} × ${expert.layer.shape.columns}`],
          [
            "size",
            `${architecture.probeCount} probes × ${architecture.projectionWidth}, representation ${representationWidth}`,
          ],
          ["models", `${models.length} of ${dataset.models.length + dataset.refused.length} files in ${folder}`],
          ["evaluated", `${new Date().toISOString().slice(0, 10)}, in ${seconds} s`],
        ],
        evaluation,
        epochs: training.reports,
      });
      await writeFile(options.report, page).catch((cause: unknown) => {
        throw usageError(`--report: ${options.report} could not be written: ${String(cause)}`);
      });
      if (options.json !== true) await terminal.print(`the report is in ${options.report}`);
    }
    return hasUnusable(dataset) || opened.refused.length > 0 ? exitCodes.someFailed : exitCodes.success;
  } finally {
    await opened.close();
  }
}

function toPlace(source: LabelSource): string {
  return "labelKey" in source ? `in its metadata under "${source.labelKey}"` : "in the file of labels that can be used";
}

interface Extent {
  readonly rows: number;
  readonly columns: number;
}

function assertFits(found: Extent, wanted: Extent, folder: string): void {
  if (found.rows === wanted.rows && found.columns === wanted.columns) return;
  const [own, theirs] = [wanted, found].map(({ rows, columns }) => `${rows} × ${columns}`);
  throw usageError(`the expert reads layers of ${own}, those of most models in ${folder} are ${theirs}`);
}

/** What an expert that `train` made remembers of its training; of others nothing is known. */
interface Training {
  readonly data: LabelOptions & {
    readonly splitKey?: string;
    readonly seed?: number;
  };
  readonly reports: readonly EpochReport[];
}

async function readTraining(folder: string): Promise<Training> {
  const path = join(folder, manifestName);
  const { extra } = parseExpertManifest(await readFile(path, "utf8"), path);
  const { data = {}, reports = [] } = (extra["provenance"] ?? {}) as Partial<Training>;
  return { data, reports: Array.isArray(reports) ? reports : [] };
}
