import type { Command } from "commander";
import { ProbestreamError } from "../../errors/probestream-error.js";
import type { JobQueue, TakenJob } from "../../retrieval/job-queue.js";
import { runJobs } from "../../retrieval/run-jobs.js";
import { embedFiles } from "../../search/embed-files.js";
import { toDisplayLocation } from "../../weights/to-display-location.js";
import type { CommandContext } from "../command-context.js";
import { toCount, toFailedLines } from "../embed-report.js";
import { exitCodes, usageError } from "../exit-codes.js";
import type { Failure } from "../failures.js";
import { fromJob } from "../index-job.js";
import { toIndexFacts, toMetadataPatch } from "../model-facts.js";
import { openQueue } from "../open-queue.js";
import { type OpenedCatalogue, openCatalogueOf } from "../open-retrieval.js";
import { parseCount } from "../option-values.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { skipIndexed } from "../skip-indexed.js";
import { toPlain } from "../table.js";

interface WorkOptions extends RetrievalOptions {
  readonly queue?: string;
  readonly concurrency: number;
  readonly wait?: boolean;
  readonly status?: boolean;
  readonly retry?: boolean;
  readonly clear?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
\`probestream index … --queue URL\` puts models into a queue on PostgreSQL, and any number of
workers, on any number of machines, take them from it: each model is indexed once, and what
a worker that died had taken is taken by another. Paths are absolute, so workers must find
the models where \`index\` did. Models that are put into the queue again are looked at again,
and embedded if their weights are not in the catalogue. With --local the catalogue is the queue's own database unless
--store names another.
${storeHelp}
Exit codes: 0 all jobs are done; 1 some were given up (--status names them); 2 the command
line is wrong; 3 no server, no database, no expert; 130 interrupted: jobs that were under way
are handed back.

Examples:
  $ probestream index models/ --queue postgres://probestream@db/models
  $ probestream work --queue postgres://probestream@db/models --local --experts experts/
      in this process, until no job is left; start it on as many machines as you like
  $ probestream work --queue postgres://probestream@db/models --server gpu-box:50051 --wait
      through a server, and go on waiting for more
  $ probestream work --queue postgres://probestream@db/models --status
`;

/** Jobs at once where nothing else is said. */
const defaultJobs = 8;

/** Jobs given up that are named. */
const failuresShown = 20;

/** How often it is told how far the queue is, in milliseconds: on a terminal, elsewhere. */
const [statusEveryMs, lineEveryMs] = [1000, 10_000];

/** Adds `work`. */
export function addWork(program: Command, context: CommandContext): void {
  const command = program
    .command("work")
    .description("Indexes models that `probestream index --queue` put into a queue.")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .requiredOption("--queue <url>", "PostgreSQL database that holds the queue: postgres://USER@HOST/NAME")
    .option("--concurrency <n>", "jobs at once", parseCount, defaultJobs)
    .option("--wait", "go on waiting for jobs when there is none left")
    .option("--status", "show how far the queue is, and do nothing else")
    .option("--retry", "let jobs that were given up be taken again")
    .option("--clear", "forget all jobs, those that others work on too, and do nothing else")
    .option("--json", "with --status: one JSON object")
    .option("--quiet", "no progress and no summary, only failures")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .action(async (options: WorkOptions) => {
      context.exit(await work(options, context));
    });
}

async function work(options: WorkOptions, context: CommandContext): Promise<number> {
  const { terminal } = context;
  if (options.queue === undefined) throw usageError("--queue is missing");
  const queue = await openQueue(options.queue);
  try {
    if (options.clear === true) {
      await queue.clear();
      terminal.remark(toPlain(`${queue.description} is empty`));
      return exitCodes.success;
    }
    if (options.retry === true) terminal.remark(`${toCount(await queue.retryFailed(), "job")} may be taken again`);
    if (options.status === true) return await printStatus(queue, options, context);
    const store = options.local === true ? { store: options.store ?? options.queue } : {};
    const opened = await openCatalogueOf({ ...options, ...store }, context, { makesStore: true });
    try {
      return await workAll(queue, opened, options, context);
    } finally {
      await opened.close();
    }
  } finally {
    await queue.close();
  }
}

async function printStatus(
  queue: JobQueue,
  { json: isJson = false }: WorkOptions,
  { terminal }: CommandContext,
): Promise<number> {
  const counts = await queue.counts();
  const failures = (await queue.failures(failuresShown)).map(({ location, message }) => {
    return { location: toDisplayLocation(location), message };
  });
  if (isJson) await terminal.print(JSON.stringify({ ...counts, failures }));
  else {
    await terminal.print(toPlain(`${queue.description}: ${await toStatus(queue)}`));
    for (const { location, message } of failures) await terminal.print(toPlain(`  ${location}: ${message}`));
    if (counts.failed > failures.length) await terminal.print(`  and ${counts.failed - failures.length} more`);
  }
  return counts.failed > 0 ? exitCodes.someFailed : exitCodes.success;
}

async function toStatus(queue: JobQueue): Promise<string> {
  const { waiting, running, done, failed } = await queue.counts();
  return `${waiting} waiting, ${running} running, ${done} done, ${failed} given up`;
}

async function workAll(
  queue: JobQueue,
  opened: OpenedCatalogue,
  options: WorkOptions,
  { terminal, signal, isDebug, environment }: CommandContext,
): Promise<number> {
  const { concurrency, wait = false, quiet = false, header: headers, token } = options;
  const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
  const failures: Failure[] = [];
  let mine = 0;
  const tell = async (): Promise<void> => {
    const line = `${mine} done here; ${await toStatus(queue)}`;
    if (terminal.hasStatus) terminal.showStatus(line);
    else terminal.remark(line);
  };
  const timer = quiet
    ? undefined
    : setInterval(() => void tell().catch(() => {}), terminal.hasStatus ? statusEveryMs : lineEveryMs);
  try {
    await runJobs(queue, {
      ...{ concurrency, untilDone: !wait, signal },
      work: (job, stop) => workOne(job, opened, modelOptions, stop),
      onDone: () => {
        mine++;
      },
      onFailed: ({ location }, error, isGivenUp) => {
        if (isGivenUp) failures.push({ file: toDisplayLocation(location), error });
      },
    });
  } finally {
    clearInterval(timer);
    terminal.showStatus("");
    for (const line of toFailedLines(failures, isDebug)) terminal.remark(line);
    if (!quiet) terminal.remark(`${toCount(mine, "job")} done here`);
  }
  const { failed } = await queue.counts();
  if (!quiet) terminal.remark(await toStatus(queue));
  return failed > 0 ? exitCodes.someFailed : exitCodes.success;
}

/** Indexes a model, unless it is there. Doing it again does nothing. */
async function workOne(
  taken: TakenJob,
  opened: OpenedCatalogue,
  modelOptions: ReturnType<typeof toModelOptions>,
  signal: AbortSignal,
): Promise<void> {
  const job = fromJob(taken);
  const { target, metadata, base, fill, hashesFiles, isAgain, skipsCopies } = job;
  const { catalogue } = opened;
  const { port, experts } = await opened.embedder(job.experts);
  const wanted = isAgain
    ? [target]
    : skipIndexed([target], {
        ...{ catalogue, port, experts, modelOptions, skipsCopies, signal, baseOf: () => base },
        onSkipped: async ({ id }, why) => {
          const patch = "record" in why ? toMetadataPatch(metadata, why.record.metadata) : undefined;
          if (patch !== undefined) await catalogue.updateModel(id, patch);
        },
        onCopy: () => {},
      });
  const locations: string[] = [];
  for await (const { location } of wanted) locations.push(location);
  const sources = { metadata, file: undefined, base, fill, hashesFiles };
  for await (const { outcome } of embedFiles(locations, port, {
    ...{ experts, modelOptions, concurrency: 1, signal },
    index: (model) => toIndexFacts(target, model, sources, signal),
  })) {
    if (outcome instanceof ProbestreamError) throw outcome;
  }
  signal.throwIfAborted();
}
