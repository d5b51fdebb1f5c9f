import type { Command } from "commander";
import { type Duplicates, findDuplicates } from "../../trees/identity/find-duplicates.js";
import type { CommandContext } from "../command-context.js";
import { toDuplicateJson, toDuplicateLines } from "../duplicates-table.js";
import { toCount, toFailedLines, toUnreadableLines } from "../embed-report.js";
import { exitCodes } from "../exit-codes.js";
import { findLocations } from "../find-locations.js";
import { showProgress } from "../progress.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";

interface DuplicatesOptions {
  readonly json?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly quiet?: boolean;
}

const help = `
Two files are the same model for one of these reasons, the surest first:

  file     the same bytes
  weights  the same tensors: metadata edited, another order, shards, PyTorch beside safetensors
  dtype    every number is a rounding of the same one: saved again as F16, BF16, F8 or F32
  factors  LoRA layers with the same products: factored anew, alpha folded in, named otherwise
  near     a copy quantised to 8 or 4 bits, or with its small numbers set to 0 (pruned)

Fine-tunes of one base are other models, however light: a copy of 8 bits moves a model by
more than some trainings do. So distance does not decide, but whether what was done to the
file explains every number. One layer of each model is read first; only models that may be
the same are read in full. A copy of a copy may be missed where the first one is not there.

The table has a row for each group: the least that all have in common, the largest distance
(of the difference, in per cent of the norm), and the files, the one first that the others
are most alike.

Exit codes: 0 all models read, whether or not some are the same; 1 some could not be read
(they are named and left out); 2 the command line is wrong; 3 no model that could be read;
130 interrupted.

Examples:
  $ probestream trees duplicates models/
      which files could go?
  $ probestream trees duplicates models/ downloads/new.safetensors
      has this one been here before, under whatever name?
  $ probestream trees duplicates models/ --json | jq -r '.groups[].models[] | select(.kind == "file").file'
      byte-for-byte copies of files that stay
`;

/** Adds `trees duplicates`. */
export function addTreesDuplicates(trees: Command, context: CommandContext): void {
  trees
    .command("duplicates")
    .summary("find files that are the same model")
    .description("Finds models that are the same, copied, renamed, saved again in another type, or quantised.")
    .argument("<model...>", "files, folders (searched with all folders in them) and http(s) URLs")
    .option("--json", "one JSON object instead of the table")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .option("--quiet", "no progress and no remarks, only failures")
    .addHelpText("after", help)
    .action(async (paths: readonly string[], options: DuplicatesOptions) => {
      context.exit(await run(paths, options, context));
    });
}

async function run(paths: readonly string[], options: DuplicatesOptions, context: CommandContext): Promise<number> {
  const { signal, terminal } = context;
  const { locations, failures: unreadable } = await findLocations(paths, signal);
  const found = await search(locations, options, context);
  if (found.models > 0) {
    const lines = options.json === true ? [JSON.stringify(toDuplicateJson(found))] : toDuplicateLines(found);
    for (const line of lines) await terminal.print(line);
    if (options.quiet !== true) terminal.remark(toSummary(found));
  }
  const failures = found.skipped.map(({ location, error }) => ({ file: location, error }));
  for (const line of toFailedLines(failures, context.isDebug)) terminal.remark(line);
  for (const line of toUnreadableLines(unreadable, context.isDebug)) terminal.remark(line);
  if (found.models === 0) return exitCodes.unusable;
  return failures.length + unreadable.length > 0 ? exitCodes.someFailed : exitCodes.success;
}

async function search(
  locations: readonly string[],
  { quiet, header: headers, token }: DuplicatesOptions,
  { signal, terminal, environment }: CommandContext,
): Promise<Duplicates> {
  const progress = quiet === true ? undefined : showProgress(terminal, locations.length);
  try {
    return await findDuplicates(locations, {
      signal,
      modelOptions: toModelOptions({ headers, token, hubToken: environment.hubToken }),
      onProgress: ({ models, failed, bytes }) => {
        const counts = { models, modelsDone: models, modelsFailed: failed };
        progress?.update({ ...counts, bytesWanted: 0, bytesDone: bytes, bytesSent: bytes });
      },
      onStage: (stage, count) => {
        progress?.stop();
        const status =
          stage === "hashing" ? `hashing ${toCount(count, "model")}…` : `comparing ${toCount(count, "pair")}…`;
        if (quiet !== true) terminal.showStatus(status);
      },
    });
  } finally {
    progress?.stop();
  }
}

function toSummary({ groups, models }: Duplicates): string {
  const copies = groups.reduce((sum, group) => sum + group.models.length - 1, 0);
  if (copies === 0) return `${toCount(models, "model")}, no two of them the same`;
  return `${toCount(models, "model")}: ${toCount(copies, "duplicate")} in ${toCount(groups.length, "group")}`;
}
