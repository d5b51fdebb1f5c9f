import type { Command } from "commander";
import { UnavailableError } from "../../errors/probestream-error.js";
import { defaultConcurrency } from "../../search/embed-files.js";
import { addJobs } from "../add-jobs.js";
import { createBackendOption } from "../backend-option.js";
import type { CommandContext } from "../command-context.js";
import { toCount, toFailedLines } from "../embed-report.js";
import { exitCodes } from "../exit-codes.js";
import type { Failure } from "../failures.js";
import { toNewJob } from "../index-job.js";
import type { IndexOptions } from "../index-options.js";
import { type IndexTally, toIndexLines } from "../index-report.js";
import { findTargets, type IndexTarget } from "../index-targets.js";
import { readMetadataFile } from "../metadata-file.js";
import { toMetadataRemarks } from "../metadata-remarks.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord, parseCount } from "../option-values.js";
import { collectMetadata } from "../parse-scalar.js";
import { createPrivateOption, privateHelp } from "../private-port.js";
import { createHeaderOption, createTokenOption } from "../remote-options.js";
import { toErrorJson } from "../result-writer.js";
import { addRetrievalOptions, defaultStore, storeHelp } from "../retrieval-options.js";
import { type IndexRun, runIndex, toSources } from "../run-index.js";
import { serverGone } from "../server-gone.js";

const help = `
A model is called by its path below the folder given, a file by its name, a URL by itself
without its query. What the catalogue has under that name with the same weights is left out,
so that a run that broke off is simply given again; the weights of local files are compared
by a hash of the layer, remote ones are left out by name (--again indexes all). Other
metadata is written all the same. Other weights under a name that is there replace what is
there, which is said at the end; --id-prefix keeps both. A model is in the catalogue, for
good, when it counts as indexed.

--meta and --metadata say what is known of models, for filters: 8 and 0.5 are numbers, true
and false are truths, all else is text, also "8" in double quotes. --metadata is a CSV file
whose first line names the columns, one of them path, or JSON lines; a column base is the
model's base. Rows that are not used are told of, and are no failure. What a file says of
itself is kept apart, as claim.NAME.
${storeHelp}${privateHelp}
Exit codes: 0 all models are in the catalogue; 1 some failed (they are named at the end); 2
the command line is wrong; 3 no server, no store, no expert, or no model that could be
indexed; 130 interrupted.

Examples:
  $ probestream index models/ --local --experts experts/
      into ./${defaultStore}, in this process; then: probestream search "pixel art" --local
  $ probestream index models/ --server gpu-box:50051 --meta license=mit --metadata about.csv
  $ probestream index --list models.txt --id-prefix hub/
      a path or URL per line; - for standard input
  $ probestream index models/ --expert loras-v2 --fill
      under a new expert, which is not searched until \`catalogue switch\`
  $ probestream index models/ --queue postgres://probestream@db/models
      leaves the work to any number of \`probestream work --queue …\`
`;

/** Adds `index`. */
export function addIndex(program: Command, context: CommandContext): void {
  const command = program
    .command("index")
    .description("Puts models into a catalogue, where they can be searched: embeds those that are not there yet.")
    .argument("[model...]", "files, folders (searched with all folders in them), http(s) URLs, @FILE for a list")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--list <file>", "paths and URLs, one per line; - for standard input")
    .option(
      "--expert <name>",
      "expert by name or space id; repeatable (default: the only one that fits, or that of the model's tree)",
      collectWord,
    )
    .option("--id-prefix <text>", "put before every model's id")
    .option("--meta <name=value>", "what is known of all models; repeatable", collectMetadata)
    .option("--metadata <file>", "what is known of each, by path: CSV or JSON lines")
    .option("--base <name>", "base of all models (default: what a file says)")
    .option("--again", "index also what is there")
    .option("--skip-copies", "leave out what has the same weights as a model of another id")
    .option("--fill", "a space that is new is not searched until `catalogue switch`")
    .option("--hash-files", "keep the SHA-256 of each file; reads all of it")
    .option("--queue <url>", "leave it to workers (`probestream work`): a queue in this PostgreSQL database")
    .addOption(createPrivateOption())
    .addOption(createBackendOption())
    .option("--concurrency <n>", "streams at once", parseCount, defaultConcurrency)
    .option("--json", "one JSON object per model")
    .option("--quiet", "no progress and no summary, only failures")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .action(async (paths: readonly string[], options: IndexOptions) => {
      context.exit(await index(paths, options, context));
    });
}

async function index(paths: readonly string[], options: IndexOptions, context: CommandContext): Promise<number> {
  const { signal, terminal, isDebug } = context;
  const file = options.metadata === undefined ? undefined : await readMetadataFile(options.metadata, signal);
  const { targets, failures: unreadable } = await findTargets({ ...options, paths }, signal);
  const isQuiet = options.quiet === true;
  if (options.json === true) for (const one of unreadable) await terminal.print(toErrorJson(one.file, one.error));
  const tally: IndexTally = {
    ...{ total: targets.length, indexed: 0, bytes: 0, there: 0, changed: 0 },
    ...{ skippedCopies: [], copies: [], replaced: [], failures: [] },
  };
  const startedAt = performance.now();
  if (options.queue !== undefined) return leaveToWorkers(targets, unreadable, { file, options, tally }, context);
  if (targets.length > 0) await indexFound(targets, { file, options, tally }, context);
  const seconds = (performance.now() - startedAt) / 1000;
  for (const line of toIndexLines(tally, seconds, { isQuiet, isDebug }, unreadable)) terminal.remark(line);
  if (!isQuiet && file !== undefined) for (const line of toMetadataRemarks(file)) terminal.remark(line);
  const failed = tally.failures.length + unreadable.length;
  if (failed === 0) return exitCodes.success;
  return tally.failures.length === targets.length ? exitCodes.unusable : exitCodes.someFailed;
}

/** Leaves all to workers. */
async function leaveToWorkers(
  targets: readonly IndexTarget[],
  unreadable: readonly Failure[],
  { file, options, tally }: IndexRun,
  context: CommandContext,
): Promise<number> {
  const {
    expert: experts = [],
    again: isAgain = false,
    skipCopies: skipsCopies = false,
    quiet: isQuiet = false,
  } = options;
  const sources = toSources(options, file);
  const jobs = targets.map((target) => toNewJob(target, sources, { experts, isAgain, skipsCopies }));
  const added = await addJobs(options.queue ?? "", jobs, context.signal);
  const { terminal, isDebug } = context;
  if (!isQuiet) terminal.remark(added);
  for (const line of toIndexLines(tally, 0, { isQuiet: true, isDebug }, unreadable)) terminal.remark(line);
  if (!isQuiet && file !== undefined) for (const line of toMetadataRemarks(file)) terminal.remark(line);
  if (unreadable.length === 0) return exitCodes.success;
  return targets.length === 0 ? exitCodes.unusable : exitCodes.someFailed;
}

/** Opens the catalogue, and indexes all; where that is interrupted or fails, it says how far it came. */
async function indexFound(targets: readonly IndexTarget[], job: IndexRun, context: CommandContext): Promise<void> {
  const { tally, options } = job;
  const { private: isPrivate = false, expert: experts = [] } = options;
  const opened = await openCatalogueOf(options, context, { isPrivate, makesStore: true, needsExperts: experts });
  try {
    await runIndex(targets, opened, job, context);
    context.signal.throwIfAborted();
  } catch (error) {
    for (const line of toFailedLines(tally.failures, context.isDebug)) context.terminal.remark(line);
    const done = `${tally.indexed + tally.there} of ${toCount(tally.total, "model")} in the catalogue`;
    const isDone = tally.indexed + tally.there === tally.total;
    // What stopped it before the first model was there would stop it again.
    const mayGoOn = context.signal.aborted || tally.indexed + tally.there > 0;
    if (options.quiet !== true && !isDone && mayGoOn && !(error instanceof UnavailableError)) {
      context.terminal.remark(`${done}; give the command again to go on`);
    }
    throw error instanceof UnavailableError ? serverGone(error, done) : error;
  } finally {
    await opened.close();
  }
}
