import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { InvalidInputError } from "../../errors/probestream-error.js";
import { describeExpert } from "../../experts/expert.js";
import { calibrateScores } from "../calibrate-scores.js";
import { calibrate, toTreeLine } from "../calibration.js";
import type { CommandContext } from "../command-context.js";
import { addLabelOptions } from "../dataset-options.js";
import { CommandError, exitCodes, usageError } from "../exit-codes.js";
import { findLocations } from "../find-locations.js";
import { type KnownModelsOptions, readKnownModels } from "../known-models.js";
import { toPlain } from "../table.js";

interface CalibrateCommandOptions extends KnownModelsOptions {
  readonly tree?: string;
  readonly parent?: string;
}

const help = `
A Model Tree is a set of models fine-tuned from one ancestor, and an expert knows one tree.
Calibrating measures where the tree's models lie and how far they reach, and writes that
into the expert folder (tree.safetensors, and the keys tree and calibration of
expert.json). From then on the expert refuses models of other trees, and among several
calibrated experts the weights choose: no --expert is needed. Dense layers are told apart by
their weights, LoRA layers by the directions in which they move their base.

\`probestream train\` calibrates what it makes. A server that runs takes a tree up within a
second.

Exit codes: 0 calibrated; 1 calibrated, but some models could not be read; 2 the command
line is wrong; 3 fewer than ten models could be read.

Examples:
  $ probestream experts calibrate experts/pony models/pony/ --tree pony --parent sdxl
  $ probestream experts calibrate experts/pony models/pony/ --label-key concept \\
      --text-encoder encoders/clip
`;

/** Adds `experts calibrate`. */
export function addExpertsCalibrate(experts: Command, context: CommandContext): void {
  const command = experts
    .command("calibrate")
    .summary("measure an expert's Model Tree, so that it refuses models of others")
    .description("Measures the Model Tree that an expert serves on models of it.")
    .argument("<expert>", "expert folder")
    .argument("<model...>", "models of its tree: files and folders; best those it was not trained on")
    .option("--tree <name>", "what the tree is called (default: the folder's name)")
    .option("--parent <name>", "the tree that it grew from, where its ancestor is a fine-tune itself");
  addLabelOptions(command, "the expert's")
    .addHelpText("after", help)
    .action(async (folder: string, paths: readonly string[], options: CalibrateCommandOptions) => {
      const { tree, parent } = options;
      if (tree === "" || parent === "") throw usageError("--tree and --parent must not be empty");
      const own = tree ?? basename(resolve(folder));
      if (parent === own) throw usageError(`--parent: a tree cannot have grown from itself ("${own}")`);
      const known = await readKnownModels(await describeExpert(folder, context.signal), paths, options, context);
      const { locations, failures: unreadable } = await findLocations(paths, context.signal);
      const names = { name: own, ...(parent !== undefined && { parent }) };
      const {
        tree: measured,
        representations,
        failures,
      } = await calibrate(folder, locations, names, context).catch((error: unknown) => {
        if (!(error instanceof InvalidInputError) || error.reason !== "FIELD_INVALID") throw error;
        throw new CommandError(error.message, exitCodes.unusable, { cause: error });
      });
      for (const { file, error } of unreadable) context.terminal.remark(toPlain(`${file}: ${error.message}`));
      await context.terminal.print(toPlain(toTreeLine(measured)));
      const scores =
        known === undefined
          ? "scores: as they were; give --label-key or --labels to calibrate them anew"
          : await calibrateScores(folder, representations, known, context.signal);
      await context.terminal.print(scores);
      context.terminal.remark(toPlain(`written to ${folder}: the expert now refuses models of other trees`));
      context.exit(failures.length + unreadable.length > 0 ? exitCodes.someFailed : exitCodes.success);
    });
}
