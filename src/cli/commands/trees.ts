import type { Command } from "commander";
import { type Discovery, discoverTrees } from "../../trees/discovery/discover-trees.js";
import { toDot } from "../../trees/discovery/to-dot.js";
import { toSvg } from "../../trees/discovery/to-svg.js";
import { toTreeJson } from "../../trees/discovery/to-tree-json.js";
import type { CommandContext } from "../command-context.js";
import { toCount, toFailedLines, toUnreadableLines } from "../embed-report.js";
import { exitCodes, usageError } from "../exit-codes.js";
import type { Failure } from "../failures.js";
import { findLocations } from "../find-locations.js";
import { parseCount } from "../option-values.js";
import { showProgress } from "../progress.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { createRenderingOption, type RenderingFiles, toRenderings, writeRendering } from "../renderings.js";
import { toPlain } from "../table.js";
import { toTreeLines } from "../trees-table.js";
import { addTreesBase } from "./trees-base.js";
import { addTreesDuplicates } from "./trees-duplicates.js";
import { addTreesHeritage } from "./trees-heritage.js";

interface DiscoverOptions extends RenderingFiles {
  readonly layer?: string;
  readonly trees?: number;
  readonly nested: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly quiet?: boolean;
}

const help = `
A Model Tree is a set of models fine-tuned from one ancestor. Models with other tensors or
shapes (a LoRA: other modules or widths, whatever its rank) are of other trees; of those that
are alike, the weights decide. Weights from different beginnings have nothing in common: the
distance between two is as if they stood at right angles. Fine-tunes of one base lie close
together, some twenty times as far as others. Each model is read once, one layer of it: a
matrix in the middle of those that make up most of the model, or the one that --layer names.

LoRA files hold what was added to a base, not the base. They are told apart by the directions
in which several of them moved, over up to eight modules; a tree needs ten of them or more.

The table has, per tree, the tree that it is nested in ("of"), its models with those of
nested trees, the layer, and the models' distances from the middle of the tree: the median
and the farthest (radius), in per cent of the norm of the middle; of LoRAs those of the
directions that they moved in, which differ far more. A nested tree is a group
with a clear gap around it, as of a fine-tune that became the base of many; which of the two
came first the clusters cannot say: the smaller one is shown as nested.

Exit codes: 0 all models read; 1 some could not be (they are named and left out); 2 the
command line is wrong; 3 no model that could be read; 130 interrupted.

Examples:
  $ probestream trees discover models/
      what trees are there?
  $ probestream trees discover models/ downloads/ --svg trees.svg --json trees.json
      a picture, and which file is of which tree
  $ probestream trees discover models/ --json - | jq -r '.trees[] | select(.total > 9).models[].file'
      all files of trees of ten models and more
  $ probestream trees discover models/ --trees 4 --no-nested
      exactly four trees: where the data leave it open, or to look more closely
  $ probestream trees discover models/ --layer model.layers.9.self_attn.q_proj --dot - | dot -Tpng > trees.png
      by a layer of your own choice; drawn by Graphviz
`;

/** Adds `trees` with its subcommands. */
export function addTrees(program: Command, context: CommandContext): void {
  const trees = program
    .command("trees")
    .description(
      "Works on Model Trees, sets of models fine-tuned from one ancestor, and on which models are the same.",
    );
  trees
    .command("discover")
    .summary("cluster a pile of models into Model Trees")
    .description("Clusters models into Model Trees by their weights. Names and metadata count for nothing.")
    .argument("<folder...>", "folders (searched with all folders in them), files and http(s) URLs")
    .option("--layer <name>", "module or tensor to compare models by (default: chosen for each signature)")
    .option("--trees <n>", "number of trees, nested ones not counted (default: the data decide)", parseCount)
    .option("--no-nested", "do not look for trees nested in trees")
    .addOption(createRenderingOption("json", "trees with all their models"))
    .addOption(createRenderingOption("dot", "a graph for Graphviz"))
    .addOption(createRenderingOption("svg", "a picture"))
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .option("--quiet", "no progress and no remarks, only failures")
    .addHelpText("after", help)
    .action(async (paths: readonly string[], options: DiscoverOptions) => {
      context.exit(await discover(paths, options, context));
    });
  addTreesHeritage(trees, context);
  addTreesDuplicates(trees, context);
  addTreesBase(trees, context);
}

async function discover(paths: readonly string[], options: DiscoverOptions, context: CommandContext): Promise<number> {
  const { signal, terminal } = context;
  const outputs = await toRenderings<Discovery>(options, {
    json: (found) => `${JSON.stringify(toTreeJson(found))}\n`,
    dot: toDot,
    svg: toSvg,
  });
  const { locations, failures: unreadable } = await findLocations(paths, signal);
  const discovery = await discoverFound(locations, options, context);
  const failures = discovery.skipped.map(({ location, error }): Failure => ({ file: location, error }));
  if (discovery.trees.length > 0) {
    const wanted = options.trees ?? 0;
    const tops = discovery.trees.filter(({ parent }) => parent === undefined).length;
    if (wanted > 0 && wanted < discovery.groups.length) {
      throw usageError(
        `--trees is ${wanted}, but the models have ${discovery.groups.length} signatures; each is a tree at least`,
      );
    }
    for (const line of outputs.some(({ file }) => file === "-") ? [] : toTreeLines(discovery))
      await terminal.print(line);
    for (const output of outputs) await writeRendering(output, discovery, terminal);
    if (options.quiet !== true) {
      if (wanted > tops) terminal.remark(`only ${tops} trees could be told apart, not ${wanted}`);
      for (const line of toRemarks(discovery, tops)) terminal.remark(toPlain(line));
    }
  }
  for (const line of toFailedLines(failures, context.isDebug)) terminal.remark(line);
  for (const line of toUnreadableLines(unreadable, context.isDebug)) terminal.remark(line);
  if (discovery.trees.length === 0) return exitCodes.unusable;
  return failures.length + unreadable.length > 0 ? exitCodes.someFailed : exitCodes.success;
}

async function discoverFound(
  locations: readonly string[],
  { layer, trees, nested, quiet, header: headers, token }: DiscoverOptions,
  { signal, terminal, environment }: CommandContext,
): Promise<Discovery> {
  const progress = quiet === true ? undefined : showProgress(terminal, locations.length);
  const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
  try {
    return await discoverTrees(locations, {
      ...{ layer, trees, nested, signal, modelOptions },
      onProgress: ({ models, failed, bytes }) => {
        const counts = { models, modelsDone: models, modelsFailed: failed };
        progress?.update({ ...counts, bytesWanted: 0, bytesDone: bytes, bytesSent: bytes });
      },
      onStage: (stage) => {
        progress?.stop();
        if (quiet !== true) terminal.showStatus(stages[stage]);
      },
    });
  } finally {
    progress?.stop();
  }
}

const stages = { distances: "comparing models…", nested: "looking for nested trees…" } as const;

/** What was compared, and how many trees that gave. */
function toRemarks({ groups, trees }: Discovery, tops: number): string[] {
  const models = groups.reduce((sum, { locations }) => sum + locations.length, 0);
  const nested = trees.length - tops;
  const few = trees.filter(({ group, total }) => group.kind === "lora" && total < fewestLoras).length;
  const mixed = groups.filter(({ kind, locations }) => kind === "lora" && locations.length < 2 * fewestLoras).length;
  return [
    ...(few + mixed > 0
      ? [`LoRAs are told apart only where a tree has ${fewestLoras} of them or more: doubt trees of fewer`]
      : []),
    ...groups.slice(0, mostGroups).map(({ kind, layers, locations }) => {
      const names = layers.map(({ module, shape }) => `${module} [${shape.rows}, ${shape.columns}]`);
      const by = names.length <= 2 ? names.join(" and ") : `${names[0]} and ${names.length - 1} more modules`;
      return `${toCount(locations.length, "model")} (${kind}) compared by ${by}`;
    }),
    ...(groups.length > mostGroups ? [`… and ${groups.length - mostGroups} more signatures`] : []),
    `${toCount(models, "model")} of ${toCount(groups.length, "signature")}: ${toCount(tops, "tree")}${nested > 0 ? ` and ${nested} nested` : ""}`,
  ];
}

/** Below so many LoRAs nothing tells whether they are of one tree. */
const fewestLoras = 10;
/** Signatures whose layers are named. */
const mostGroups = 10;
