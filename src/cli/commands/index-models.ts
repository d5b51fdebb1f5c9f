import type { Command } from "commander";
import { ProbestreamError, UnavailableError } from "../../errors/probestream-error.js";
import { defaultConcurrency, embedFiles, type FileOutcome } from "../../search/embed-files.js";
import type { EmbedProgress } from "../../search/embed-files-progress.js";
import type { Scalar } from "../../vectors/filter.js";
import type { CommandContext } from "../command-context.js";
import { toCount, toFailedLines } from "../embed-report.js";
import { CommandError, exitCodes } from "../exit-codes.js";
import { type IndexTally, toIndexLines } from "../index-report.js";
import { findTargets, type IndexTarget } from "../index-targets.js";
import { type MetadataFile, readMetadataFile } from "../metadata-file.js";
import { type FactSources, toIndexFacts, toUserFacts } from "../model-facts.js";
import { type OpenedCatalogue, openCatalogueOf } from "../open-retrieval.js";
import { collectWord, parseCount } from "../option-values.js";
import { collectMetadata } from "../parse-scalar.js";
import { createPrivateOption, privateHelp } from "../private-port.js";
import { showProgress } from "../progress.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { toErrorFields, toErrorJson } from "../result-writer.js";
import { addRetrievalOptions, defaultStore, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type Skipped, skipIndexed } from "../skip-indexed.js";
import { toPlain } from "../table.js";

interface IndexOptions extends RetrievalOptions {
  readonly list?: string;
  readonly expert?: readonly string[];
  readonly idPrefix?: string;
  readonly meta?: Readonly<Record<string, Scalar>>;
  readonly metadata?: string;
  readonly base?: string;
  readonly again?: boolean;
  readonly skipCopies?: boolean;
  readonly fill?: boolean;
  readonly hashFiles?: boolean;
  readonly concurrency: number;
  readonly json?: boolean;
  readonly private?: boolean;
  readonly quiet?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
A model is called by its path below the folder given, a file by its name, a URL by itself
without its query. What the catalogue has under that name with the same weights is left out,
so that a run that broke off is simply given again; the weights of local files are compared
by a hash of the layer, remote ones are left out by name (--again indexes all). Other
metadata is written all the same. A model is in the catalogue, for good, when it counts as
indexed.

--meta and --metadata say what is known of models, for filters: 8 and 0.5 are numbers, true
and false are truths, all else is text, also "8" in double quotes. --metadata is a CSV file
whose first line names the columns, one of them path, or JSON lines; a column base is the
model's base. What a file says of itself is kept apart, as claim.NAME.
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
    .addOption(createPrivateOption())
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
    ...{ skippedCopies: [], copies: [], failures: [] },
  };
  const startedAt = performance.now();
  if (targets.length > 0) await indexFound(targets, { file, options, tally }, context);
  const seconds = (performance.now() - startedAt) / 1000;
  for (const line of toIndexLines(tally, seconds, { isQuiet, isDebug }, unreadable)) terminal.remark(line);
  if (!isQuiet && file !== undefined) for (const line of toMetadataRemarks(file)) terminal.remark(line);
  const failed = tally.failures.length + unreadable.length;
  if (failed === 0) return exitCodes.success;
  return tally.failures.length === targets.length ? exitCodes.unusable : exitCodes.someFailed;
}

interface Job {
  readonly file: MetadataFile | undefined;
  readonly options: IndexOptions;
  readonly tally: IndexTally;
}

/** Opens the catalogue, and indexes all; where that is interrupted or fails, it says how far it came. */
async function indexFound(targets: readonly IndexTarget[], job: Job, context: CommandContext): Promise<void> {
  const { tally, options } = job;
  const opened = await openCatalogueOf(options, context, { isPrivate: options.private === true });
  try {
    await run(targets, opened, job, context);
    context.signal.throwIfAborted();
  } catch (error) {
    for (const line of toFailedLines(tally.failures, context.isDebug)) context.terminal.remark(line);
    const done = `${tally.indexed + tally.there} of ${toCount(tally.total, "model")} in the catalogue`;
    const isDone = tally.indexed + tally.there === tally.total;
    if (options.quiet !== true && !isDone && !(error instanceof UnavailableError)) {
      context.terminal.remark(`${done}; give the command again to go on`);
    }
    if (!(error instanceof UnavailableError)) throw error;
    const server = error.facts["target"] === undefined ? "the server" : `the server ${error.facts["target"]}`;
    const message = `${server} is gone: ${done}; start it and give the command again`;
    throw new CommandError(message, exitCodes.unusable, { cause: error });
  } finally {
    await opened.close();
  }
}

async function run(
  targets: readonly IndexTarget[],
  opened: OpenedCatalogue,
  { file, options, tally }: Job,
  { signal, terminal, environment }: CommandContext,
): Promise<void> {
  const { header: headers, token, concurrency, json: isJson = false } = options;
  const sources: FactSources = {
    ...{ metadata: options.meta ?? {}, file, base: options.base },
    ...{ fill: options.fill === true, hashesFiles: options.hashFiles === true },
  };
  const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
  const { port, experts } = await opened.embedder(options.expert ?? []);
  const view = options.quiet === true ? undefined : showProgress(terminal, targets.length);
  let latest: EmbedProgress = { models: 0, modelsDone: 0, modelsFailed: 0, bytesWanted: 0, bytesDone: 0, bytesSent: 0 };
  const show = (progress: EmbedProgress): void => {
    latest = progress;
    const left = tally.there + tally.skippedCopies.length;
    view?.update({ ...progress, models: progress.models + left, modelsDone: progress.modelsDone + left });
  };

  const onSkipped = async (target: IndexTarget, why: Skipped): Promise<void> => {
    const { id, location } = target;
    if ("copyOf" in why) tally.skippedCopies.push({ id, copyOf: why.copyOf });
    else {
      tally.there++;
      const patch = toPatch(toUserFacts(target, sources).metadata, why.record.metadata);
      if (patch !== undefined) {
        await opened.catalogue.updateModel(id, patch);
        tally.changed++;
      }
    }
    show(latest);
    const reason = "copyOf" in why ? { copyOf: why.copyOf } : {};
    if (isJson) await terminal.print(JSON.stringify({ file: location, model: id, status: "skipped", ...reason }));
  };

  const wanted = options.again
    ? targets
    : skipIndexed(targets, {
        ...{ catalogue: opened.catalogue, port, experts, modelOptions, signal, onSkipped },
        skipsCopies: options.skipCopies === true,
        baseOf: (target) => toUserFacts(target, sources).base,
        onCopy: ({ id }, copyOf) => tally.copies.push({ id, copyOf }),
      });
  const byLocation = new Map(targets.map((target) => [target.location, target]));
  const sent: IndexTarget[] = [];
  try {
    for await (const outcome of embedFiles(toLocations(wanted, sent), port, {
      ...{ experts, modelOptions, concurrency, signal, onProgress: show },
      index: async (model, location) => {
        const target = byLocation.get(location);
        return target === undefined ? undefined : toIndexFacts(target, model, sources, signal);
      },
    })) {
      await note(outcome, sent[outcome.index], tally, isJson ? terminal.print : undefined);
    }
  } finally {
    view?.stop();
  }
}

async function* toLocations(
  targets: Iterable<IndexTarget> | AsyncIterable<IndexTarget>,
  sent: IndexTarget[],
): AsyncGenerator<string, void, undefined> {
  for await (const target of targets) {
    sent.push(target);
    yield target.location;
  }
}

async function note(
  { location, outcome }: FileOutcome,
  target: IndexTarget | undefined,
  tally: IndexTally,
  print: CommandContext["terminal"]["print"] | undefined,
): Promise<void> {
  const model = target?.id ?? location;
  if (outcome instanceof ProbestreamError) {
    tally.failures.push({ file: location, error: outcome });
    await print?.(JSON.stringify({ file: location, model, status: "failed", ...toErrorFields(outcome) }));
    return;
  }
  tally.indexed++;
  tally.bytes += outcome.bytesTotal;
  const spaces = outcome.embeddings.map(({ spaceId, expertName, tree }) => {
    return { spaceId, expert: expertName, ...(tree?.isAccepted === true && { tree: tree.tree }) };
  });
  const { weightsHash } = outcome;
  await print?.(JSON.stringify({ file: location, model, status: "indexed", weightsHash, spaces }));
}

/** What of the metadata is not as it is to be; undefined if all is. */
function toPatch(
  wanted: Readonly<Record<string, Scalar>>,
  found: Readonly<Record<string, Scalar>>,
): Readonly<Record<string, Scalar>> | undefined {
  const changes = Object.entries(wanted).filter(
    ([name, value]) => !Object.hasOwn(found, name) || found[name] !== value,
  );
  return changes.length === 0 ? undefined : Object.fromEntries(changes);
}

/** Rows of `--metadata` that are named. */
const rowsShown = 5;

function toMetadataRemarks(file: MetadataFile): string[] {
  const unused = file.unused();
  const list = (rows: readonly string[]): string => {
    const more = rows.length > rowsShown ? `, and ${rows.length - rowsShown} more` : "";
    return rows.slice(0, rowsShown).join(", ") + more;
  };
  const { problems } = file;
  return [
    ...(unused.length === 0
      ? []
      : [`--metadata: no model for ${list(unused.map(({ line, path }) => `"${path}" (line ${line})`))}`]),
    ...(problems.length === 0
      ? []
      : [`--metadata: not used: ${list(problems.map(({ line, reason }) => `line ${line}: ${reason}`))}`]),
  ].map(toPlain);
}
