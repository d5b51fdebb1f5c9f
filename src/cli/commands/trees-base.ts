import type { Command } from "commander";
import { type BaseCandidate, type BaseSearch, findBase } from "../../trees/identity/find-base.js";
import type { CommandContext } from "../command-context.js";
import { toCount, toFailedLines, toUnreadableLines } from "../embed-report.js";
import { exitCodes } from "../exit-codes.js";
import { findLocations } from "../find-locations.js";
import { showProgress } from "../progress.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { type Column, toPlain, toTable } from "../table.js";

interface BaseOptions {
  readonly among: readonly string[];
  readonly layer?: string;
  readonly json?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly quiet?: boolean;
}

const help = `
The nearest model by the weights of one layer that both have. The distance is that of the
squared difference to the mean squared norm: 0 for equal weights, far below 1 for fine-tunes
of one base, near 2 for weights that have nothing in common. Look among bases: they are told
apart without doubt. Other fine-tunes of the same base are relatives too, and those trained
alike often lie nearer than the base itself; which of two was made from the other, distances
cannot say.

A LoRA holds what was added to its base, not the base: its base cannot be found by weights,
and what its metadata claim is told instead.

Exit codes: 0 a relative was found; 1 one was found, but some models could not be read;
2 the command line is wrong, or the model is a LoRA; 3 no relative, or no model that could be
read; 130 interrupted.

Examples:
  $ probestream trees base tuned.safetensors --among bases/
      which base is this a fine-tune of?
  $ probestream trees base tuned.safetensors --among bases/ tunes/ --json | jq '.candidates[:5]'
      the five nearest, fine-tunes among them
  $ probestream trees base tuned.safetensors --among bases/ --layer model.layers.9.mlp.up_proj
      by a layer of your own choice
`;

/** Adds `trees base`. */
export function addTreesBase(trees: Command, context: CommandContext): void {
  trees
    .command("base")
    .summary("find which stored model another one is a fine-tune of")
    .description("Finds the model that another one was most likely fine-tuned from, by weights alone.")
    .argument("<model>", "file, folder of one model, or http(s) URL")
    .requiredOption("--among <folder...>", "folders, files and http(s) URLs to look in")
    .option("--layer <name>", "module or tensor to compare by (default: chosen by size)")
    .option("--json", "one JSON object with all candidates instead of the table")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .option("--quiet", "no progress and no remarks, only failures")
    .addHelpText("after", help)
    .action(async (model: string, options: BaseOptions) => {
      context.exit(await run(model, options, context));
    });
}

async function run(model: string, options: BaseOptions, context: CommandContext): Promise<number> {
  const { signal, terminal } = context;
  const { locations, failures: unreadable } = await findLocations(options.among, signal);
  const found = await search(model, locations, options, context);
  const [nearest, next] = found.candidates;
  if (options.json === true) await terminal.print(JSON.stringify(toJson(model, found)));
  else for (const line of toLines(nearest, next)) await terminal.print(line);
  if (options.quiet !== true) for (const line of toRemarks(found)) terminal.remark(toPlain(line));
  const failures = found.skipped.map(({ location, error }) => ({ file: location, error }));
  for (const line of toFailedLines(failures, context.isDebug)) terminal.remark(line);
  for (const line of toUnreadableLines(unreadable, context.isDebug)) terminal.remark(line);
  if (nearest?.isRelative !== true) return exitCodes.unusable;
  return failures.length + unreadable.length > 0 ? exitCodes.someFailed : exitCodes.success;
}

async function search(
  model: string,
  locations: readonly string[],
  { layer, quiet, header: headers, token }: BaseOptions,
  { signal, terminal, environment }: CommandContext,
): Promise<BaseSearch> {
  const progress = quiet === true ? undefined : showProgress(terminal, locations.length);
  try {
    return await findBase(model, locations, {
      ...{ layer, signal, modelOptions: toModelOptions({ headers, token, hubToken: environment.hubToken }) },
      onProgress: (models, failed, bytes) => {
        const counts = { models, modelsDone: models, modelsFailed: failed };
        progress?.update({ ...counts, bytesWanted: 0, bytesDone: bytes, bytesSent: bytes });
      },
    });
  } finally {
    progress?.stop();
  }
}

const columns: readonly Column[] = [
  { title: "" },
  { title: "distance", align: "right" },
  { title: "relative" },
  { title: "file" },
];

function toLines(nearest: BaseCandidate | undefined, next: BaseCandidate | undefined): string[] {
  const rows = [
    { title: "nearest", candidate: nearest },
    { title: "next", candidate: next },
  ].flatMap(({ title, candidate }) =>
    candidate === undefined
      ? []
      : [[title, candidate.distance.toPrecision(3), candidate.isRelative ? "yes" : "no", candidate.location]],
  );
  return rows.length === 0 ? [] : toTable(columns, rows);
}

function toRemarks({ candidates, unlike, layer }: BaseSearch): string[] {
  const { module, shape } = layer;
  const [nearest] = candidates;
  return [
    `${toCount(candidates.length, "model")} compared by ${module} [${shape.rows}, ${shape.columns}]`,
    ...(unlike.length > 0 ? [`${toCount(unlike.length, "model")} without such a layer left out`] : []),
    ...(nearest?.isRelative === false ? ["no relative among them: the nearest has nothing in common with it"] : []),
  ];
}

function toJson(model: string, { layer, candidates, unlike, skipped }: BaseSearch) {
  return {
    file: model,
    layer: layer.module,
    shape: [layer.shape.rows, layer.shape.columns],
    candidates: candidates.map(({ location, distance, isRelative }) => ({ file: location, distance, isRelative })),
    unlike,
    skipped: skipped.map(({ location, error }) => ({ file: location, reason: error.reason, message: error.message })),
  };
}
