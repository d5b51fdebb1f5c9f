import { type Command, Option } from "commander";
import type { BackendName } from "../../compute/create-backend.js";
import { ProbestreamError, UnavailableError } from "../../errors/probestream-error.js";
import type { ProbestreamClient } from "../../rpc/client.js";
import { defaultConcurrency, type EmbedFilesOptions, embedFiles, type FileOutcome } from "../../search/embed-files.js";
import type { EmbedPort } from "../../search/embed-port.js";
import { startEmbedder } from "../../search/embedder.js";
import { createLocalPort } from "../../search/local-port.js";
import { createBackendOption } from "../backend-option.js";
import type { CommandContext } from "../command-context.js";
import { addConnectionOptions } from "../connection-options.js";
import { type EmbedReport, toCount, toFailedLines, toReportLines } from "../embed-report.js";
import type { Environment } from "../environment.js";
import { exitCodes, usageError } from "../exit-codes.js";
import type { Failure } from "../failures.js";
import { findLocations } from "../find-locations.js";
import { openLocalExperts } from "../local-experts.js";
import { collectWord, parseCount } from "../option-values.js";
import { type OutFile, openOutFile } from "../out-file.js";
import { createPrivateOption, openPrivatePort, privateHelp } from "../private-port.js";
import { showProgress } from "../progress.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { createJsonWriter, createTableWriter, type ResultWriter, toErrorJson } from "../result-writer.js";
import { type ConnectionOptions, connectToExperts } from "../server-connection.js";
import { serverGone } from "../server-gone.js";
import { toPlain } from "../table.js";
import { readTexts } from "../texts-file.js";

interface EmbedOptions extends ConnectionOptions {
  readonly local?: boolean;
  readonly private?: boolean;
  readonly experts?: string;
  readonly expert?: readonly string[];
  readonly backend?: BackendName | "auto";
  readonly texts?: string;
  readonly top?: number;
  readonly json?: boolean;
  readonly out?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly concurrency: number;
  readonly quiet?: boolean;
}

const help = `
Results go to standard output, everything else to standard error. Exit codes: 0 all
models embedded; 1 some failed (they are named at the end); 2 the command line is wrong;
3 nothing could be done: no server, or gone on the way, no such expert, or no model that
could be embedded; 130 interrupted.

An upload of 8 MiB or more that breaks off goes on where it was when the command is
given again; weights that are not wanted are never read, here or over HTTP.
${privateHelp}
Examples:
  $ probestream embed lora.safetensors
      one model, through the server on this machine
  $ probestream embed models/ --server gpu-box:50051 --texts labels.safetensors --top 1
      every model in a folder and its folders, with the label that fits best
  $ probestream embed models/ --local --experts experts/ --json > results.jsonl
      no server: the same computation in this process, one JSON object per line
  $ probestream embed models/ --server gpu-box:50051 --private
      the weights stay here: only their projection is sent
  $ probestream embed https://huggingface.co/OWNER/NAME/resolve/main/model.safetensors
      a remote model: its header and the one layer wanted are all that is read
  $ probestream embed models/ --out representations.safetensors --quiet
      representations as a matrix, for other programs; after Ctrl-C those there are so far
`;

/** Adds `embed`. */
export function addEmbed(program: Command, context: CommandContext): void {
  const command = program
    .command("embed")
    .description(
      "Embeds models: streams the one layer that an expert reads of each, and shows what comes out.\n" +
        "A model is a .safetensors file, an index of shards (….index.json), or a URL of either.",
    )
    .argument("<model...>", "files, folders (searched with all folders in them) and http(s) URLs")
    .addHelpText("after", help);
  addConnectionOptions(command, context.environment.server)
    .addOption(new Option("--local", "compute in this process instead of a server").conflicts("server"))
    .addOption(createPrivateOption())
    .option("--experts <folder>", "with --local: folder of expert folders (default: experts)")
    .option(
      "--expert <name>",
      "expert by name or space id; with --local also an expert folder; repeatable (default: the only one that fits, or of calibrated ones that of the model's tree)",
      collectWord,
    )
    .addOption(createBackendOption())
    .option("--texts <file>", "safetensors file with text_embeds [n, width] and labels, to compare models with")
    .option("--top <n>", "labels per model (default: 3 in the table, all in JSON)", parseCount)
    .option("--json", "one JSON object per line instead of a table")
    .option("--out <file>", "write representations (and scores) to a safetensors file")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .option("--concurrency <n>", "streams at once", parseCount, defaultConcurrency)
    .option("--quiet", "no progress and no summary, only failures")
    .action(async (paths: readonly string[], options: EmbedOptions) => {
      context.exit(await embed(paths, options, context));
    });
}

async function embed(paths: readonly string[], options: EmbedOptions, context: CommandContext): Promise<number> {
  const { signal, terminal } = context;
  const texts = options.texts === undefined ? undefined : await readTexts(options.texts, signal);
  const textLabels = texts?.labels ?? [];
  const outFile = options.out === undefined ? undefined : await openOutFile(options.out, textLabels);
  const { locations, failures: unreadable } = await findLocations(paths, signal);
  const output: Output = {
    writer: options.json
      ? createJsonWriter({ textLabels, top: options.top })
      : createTableWriter({ textLabels, top: options.top }, locations),
    outFile,
    context,
  };
  if (options.json) for (const { file, error } of unreadable) await terminal.print(toErrorJson(file, error));
  // What is not there needs no server to be told of.
  const tally =
    locations.length === 0 ? nothingDone : await embedFound(locations, { options, texts: texts?.vectors }, output);
  const isQuiet = options.quiet === true;
  const report = { ...tally, total: locations.length, unreadable };
  for (const line of toReportLines(report, { isQuiet, isDebug: context.isDebug })) terminal.remark(line);
  if (outFile !== undefined) {
    const line = await outFile.write();
    if (!isQuiet || tally.embedded === 0) terminal.remark(toPlain(line));
  }
  if (tally.embedded === 0) return exitCodes.unusable;
  return tally.failures.length + unreadable.length > 0 ? exitCodes.someFailed : exitCodes.success;
}

/** Opens what computes, and embeds all models; where that is interrupted or fails, the results so far are kept. */
async function embedFound(locations: readonly string[], wanted: Wanted, output: Output): Promise<Tally> {
  const { signal, terminal, environment, isDebug } = output.context;
  const { header: headers, token } = wanted.options;
  const { port, experts } = await openPort(wanted.options, output.context);
  const progress: Progress = { embedded: 0, bytes: 0, failures: [] };
  try {
    const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
    const outcomes = embedAll(port, locations, { ...wanted, context: output.context, experts, modelOptions });
    const startedAt = performance.now();
    await writeAll(outcomes, output, progress);
    signal.throwIfAborted();
    return { ...progress, seconds: (performance.now() - startedAt) / 1000 };
  } catch (error) {
    for (const line of toFailedLines(progress.failures, isDebug)) terminal.remark(line);
    if (output.outFile !== undefined) terminal.remark(toPlain(await output.outFile.writePartial(locations.length)));
    if (!(error instanceof UnavailableError)) throw error;
    throw serverGone(error, `${progress.embedded} of ${toCount(locations.length, "model")} embedded`);
  } finally {
    await port.close();
  }
}

/** The server, or this process. */
async function openPort(
  options: EmbedOptions,
  { environment }: CommandContext,
): Promise<{ readonly port: EmbedPort; readonly experts: readonly string[] }> {
  const { expert = [], backend, local = false } = options;
  const isPrivate = options.private === true;
  if (!local && (options.experts !== undefined || (backend !== undefined && !isPrivate))) {
    throw usageError("--experts and --backend are the server's to choose; with --local they are yours");
  }
  if (!local) {
    const client = await connectToExperts(options, environment, expert);
    if (!isPrivate) return { port: client, experts: expert };
    return { port: await toPrivate(client, environment, backend), experts: expert };
  }
  const { catalogue, wanted } = await openLocalExperts(options.experts, expert);
  const embedder = await startEmbedder({ catalogue, ...(backend !== undefined && { backend }) });
  return { port: createLocalPort(embedder), experts: wanted };
}

/** Projects here for a server; closing the port closes the connection. */
async function toPrivate(
  client: ProbestreamClient,
  environment: Environment,
  backend: EmbedOptions["backend"],
): Promise<EmbedPort> {
  try {
    const port = await openPrivatePort(client, environment, backend);
    const close = async (): Promise<void> => {
      await port.close();
      await client.close();
    };
    return { ...port, close };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** What is asked for. */
interface Wanted extends Pick<EmbedFilesOptions, "texts"> {
  readonly options: EmbedOptions;
}

interface Job extends Wanted, Pick<EmbedFilesOptions, "modelOptions"> {
  readonly context: CommandContext;
  readonly experts: readonly string[];
}

async function* embedAll(
  port: EmbedPort,
  locations: readonly string[],
  { options, context, experts, texts, modelOptions }: Job,
): AsyncGenerator<FileOutcome, void, undefined> {
  const { signal, terminal } = context;
  const progress = options.quiet === true ? undefined : showProgress(terminal, locations.length);
  try {
    yield* embedFiles(locations, port, {
      experts,
      texts,
      modelOptions,
      concurrency: options.concurrency,
      signal,
      onProgress: progress?.update,
    });
  } finally {
    progress?.stop();
  }
}

/** Where results go. */
interface Output {
  readonly writer: ResultWriter;
  readonly outFile: OutFile | undefined;
  readonly context: CommandContext;
}

type Tally = Pick<EmbedReport, "embedded" | "bytes" | "seconds" | "failures">;

const nothingDone: Tally = { embedded: 0, bytes: 0, seconds: 0, failures: [] };

/** How far it is; changes while outcomes come, so that it is known where they break off. */
interface Progress {
  embedded: number;
  bytes: number;
  readonly failures: Failure[];
}

async function writeAll(outcomes: AsyncIterable<FileOutcome>, output: Output, progress: Progress): Promise<void> {
  const { writer, outFile } = output;
  const { terminal } = output.context;
  for await (const file of outcomes) {
    if (file.outcome instanceof ProbestreamError) {
      progress.failures.push({ file: file.location, error: file.outcome });
    } else {
      progress.embedded++;
      progress.bytes += file.outcome.bytesTotal;
    }
    outFile?.add(file);
    for (const line of writer.toLines(file)) await terminal.print(line);
  }
}
