import { type Command, InvalidArgumentError, Option } from "commander";
import { backendNames } from "../../compute/create-backend.js";
import type { BackendMeasurement } from "../../compute/measure-backends.js";
import { type Catalogue, openCatalogue } from "../../experts/catalogue.js";
import { protocolWindowBytes } from "../../rpc/receive-window.js";
import { type RunningServer, startServer } from "../../rpc/server.js";
import type { TokenSet } from "../../rpc/tokens/token-set.js";
import { type BackendChoice, chooseBackends } from "../../search/choose-backends.js";
import type { MemoryPlan } from "../../search/memory-plan.js";
import type { CommandContext } from "../command-context.js";
import { parseDuration } from "../duration.js";
import { findEncoderPlaces, toEncoderRemark } from "../encoder-places.js";
import { defaultAddress, readProcessSettings } from "../environment.js";
import { type CommandError, exitCodes, toExitCode, usageError } from "../exit-codes.js";
import { listExperts } from "../expert-summary.js";
import { defaultExpertsFolder } from "../local-experts.js";
import { openServed } from "../open-served.js";
import { isPostgresUrl } from "../open-store.js";
import { collectWord, formatAddress, parseAddress, parseBackend, parseCount } from "../option-values.js";
import { receiveTokens } from "../process-tokens.js";
import { endWithParent, isServerProcess, runProcesses, tellParent } from "../processes.js";
import { type ServeOptions, toGraceMs, toServerOptions } from "../serve-options.js";
import { openServeTokens } from "../serve-tokens.js";
import { formatBytes, parseSize } from "../size.js";
import { toPlain } from "../table.js";

const help = `
The first line of output is "listening on HOST:PORT (pid N, …)". SIGINT and SIGTERM end
the server in order: open streams may finish within --grace, later ones can be resumed.
A second signal ends it at once.
An expert folder that is added while it runs is served at once.

With --token-file each call, but for health checks, must bring a token as "authorization:
Bearer …"; commands take it from PROBESTREAM_TOKEN. The file has one of 16 to 1024 characters
per line, as \`openssl rand -hex 32\` prints; blank lines and lines with # before them do not
count. Others may not read it (chmod 600). It is read again when it changes: add a token, give
it to the clients, take the old one out. A file that cannot be used changes nothing and is
complained of.

Examples:
  $ probestream serve --experts experts/
      on this machine, port 50051
  $ probestream serve --experts experts/ --store models.store --text-encoder encoders/clip-text
      keeps what \`probestream index\` brings, and finds it in words
  $ probestream serve --experts experts/ --listen 0.0.0.0:50051 --tls-cert cert.pem --tls-key key.pem
      for others too; add --tls-client-ca ca.pem to let only known clients in, or --token-file tokens
  $ probestream serve --experts experts/ --processes 8 --state-dir /var/lib/probestream
      eight processes on one port; unfinished uploads survive a restart
  $ probestream serve --experts experts/ --receive-window 16MiB --memory-budget 4GiB
      over long lines: 16 MiB may be on their way per connection
`;

/** Adds `serve`. */
export function addServe(program: Command, context: CommandContext): void {
  program
    .command("serve")
    .description("Serves experts over gRPC: clients stream a layer in and get its embedding back.")
    .option("--experts <folder>", "folder of expert folders, or one of them", defaultExpertsFolder)
    .addOption(
      new Option("--listen <host:port>", "where to listen; port 0 takes a free one")
        .argParser(parseAddress)
        .default(parseAddress(defaultAddress), defaultAddress),
    )
    .option(
      "--store <place>",
      "keep a catalogue of models: a folder, made if it is not there, or postgres://USER@HOST/NAME",
    )
    .option(
      "--text-encoder <place>",
      "folder or Hugging Face id of the text encoder that an expert names, to search in words; repeatable (default: text-encoder beside the folder of experts)",
      collectWord,
    )
    .option(
      "--state-dir <folder>",
      "keep unfinished uploads here (default: in memory, or in the PostgreSQL database of --store)",
    )
    .option("--processes <n>", "server processes on the port; each takes in about 0.5 GB/s", parseCount, 1)
    .option(
      "--workers <n>",
      "worker threads per process (default: cores - 1, or cores / processes; 1 to 8)",
      parseCount,
    )
    .option("--memory-budget <size>", "what experts and streams of a process may take (default: 1GiB)", parseSize)
    .option(
      "--receive-window <size>",
      "HTTP/2 window; `default` for the protocol's 65,535 (default: 896KiB, up to 3MiB on long lines)",
      parseWindow,
    )
    .option(
      "--backend <name>",
      `compute backend: ${backendNames.join(", ")} (default: auto, the fastest that gives right numbers)`,
      parseBackend,
    )
    .option("--tls-cert <file>", "the server's certificate (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--tls-client-ca <file>", "let in only clients with a certificate of this authority (PEM)")
    .option("--token-file <file>", "let in only calls with one of these tokens, one per line; see below")
    .option("--insecure", "allow plaintext where others can reach it")
    .option("--idle-timeout <time>", "end a stream that brings nothing for so long (default: 60s)", parseDuration)
    .option("--upload-expiry <time>", "keep unfinished uploads for so long (default: 24h)", parseDuration)
    .option("--max-chunk <size>", "longest chunk allowed (default: 1MiB)", parseSize)
    .option("--grace <time>", "how long a shutdown waits for open streams (default: 10s)", parseDuration)
    .addHelpText("after", help)
    .action(async (options: ServeOptions) => {
      if (isServerProcess) await serveAsProcess(options, context);
      else if (options.processes > 1) await serveFromProcesses(options, context);
      else await serveAlone(options, context);
      context.exit(exitCodes.success);
    });
}

async function serveAlone(options: ServeOptions, context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const tokens = await openServeTokens(options, terminal.remark);
  const { server, close } = await start(options, context, tokens);
  const address = formatAddress(server);
  await terminal.print(`listening on ${address} (pid ${process.pid}, ${await describe(server)})`);
  remarkBackends(server.embedder.measuredBackends, terminal.remark);
  await remarkUnusable(server.embedder.catalogue, terminal.remark);
  await untilAborted(signal);
  remarkShutdown(options, terminal.remark);
  await close(toGraceMs(options));
}

function remarkShutdown(options: ServeOptions, remark: (line: string) => void): void {
  const seconds = toGraceMs(options) / 1000;
  remark(`shutting down; open streams have up to ${seconds} s (--grace), and a second signal ends them at once`);
}

async function serveFromProcesses(options: ServeOptions, { terminal, signal }: CommandContext): Promise<void> {
  const { processes: count, listen, stateDir } = options;
  // What is wrong with the options is said once rather than by each process.
  await toServerOptions(options);
  const tokens = await openServeTokens(options, terminal.remark);
  const catalogue = openCatalogue(options.experts);
  await catalogue.list();
  const { store, textEncoder, experts, backend = "auto" } = options;
  const encoderPlaces = store === undefined ? undefined : await findEncoderPlaces(textEncoder, experts);
  // By this process alone: they would share the cores while they measure, and one that is started later with the load.
  const choice = backend === "auto" ? await chooseBackends(catalogue) : undefined;
  signal.addEventListener("abort", () => remarkShutdown(options, terminal.remark), { once: true });
  await runProcesses({
    count,
    listen,
    stateDir,
    choice,
    tokens,
    terminal,
    signal,
    stopMs: toGraceMs(options) + 5000,
    onListening: async (address, description) => {
      const facts = `pid ${process.pid}, ${description}, ${count} processes`;
      await terminal.print(`listening on ${formatAddress(address)} (${facts})`);
      remarkBackends(choice?.measured ?? [], terminal.remark);
      await remarkUnusable(catalogue, terminal.remark);
      if (encoderPlaces !== undefined) terminal.remark(toPlain(toEncoderRemark(encoderPlaces)));
    },
  });
}

async function serveAsProcess(options: ServeOptions, context: CommandContext): Promise<void> {
  const { signal } = context;
  const { port, stateDir, choice } = readProcessSettings();
  const listen = { host: options.listen.host, port };
  const release = endWithParent();
  try {
    const wanted = options.tokenFile !== undefined;
    const tokens = wanted ? await receiveTokens(() => tellParent({ type: "tokens-wanted" })) : undefined;
    // The folder that the first process made is of no use where all servers share a database.
    const isShared = options.stateDir === undefined && isPostgresUrl(options.store ?? "");
    const own = { ...options, listen, ...(!isShared && { stateDir }) };
    const { server, close } = await start(own, context, tokens, choice);
    await tellParent({ type: "listening", description: await describe(server) });
    await untilAborted(signal);
    await close(toGraceMs(options));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await tellParent({ type: "failed", message, exitCode: toExitCode(error) });
  }
  release();
  process.disconnect?.();
}

/** A server with all that it works with. */
interface Started {
  readonly server: RunningServer;
  readonly close: (graceMs: number) => Promise<void>;
}

async function start(
  options: ServeOptions,
  context: CommandContext,
  tokens: TokenSet | undefined,
  choice?: BackendChoice,
): Promise<Started> {
  const serverOptions = await toServerOptions(options);
  // Throws where there is no such folder: better now than at the first call.
  await serverOptions.catalogue.list();
  const served = await openServed(options, context);
  try {
    const { store, encoders, uploads } = served;
    const given = { ...serverOptions, tokens, store, encoders, ...(choice !== undefined && { choice }) };
    const server = await startServer({ ...given, ...(uploads !== undefined && { uploads }) });
    const { budgetBytes, streamBytes } = server.embedder.memory;
    if (streamBytes > budgetBytes) {
      await server.close(0);
      throw tooLittleMemory(server.embedder.memory);
    }
    return {
      server,
      close: async (graceMs) => {
        await server.close(graceMs);
        await served.close();
      },
    };
  } catch (error) {
    await served.uploads?.close().catch(() => {});
    await served.close();
    throw error;
  }
}

function tooLittleMemory({ budgetBytes, streamBytes, stream }: MemoryPlan): CommandError {
  const { receiveWindowBytes, messagesBytes, blocksBytes } = stream;
  const parts = [
    `receive window ${formatBytes(receiveWindowBytes)}`,
    `messages ${formatBytes(messagesBytes)}`,
    `blocks ${formatBytes(blocksBytes)}`,
  ].join(", ");
  return usageError(
    `--memory-budget is ${formatBytes(budgetBytes)}; one stream takes ${formatBytes(streamBytes)} (${parts}), and experts come on top`,
  );
}

async function describe({ embedder }: RunningServer): Promise<string> {
  const { experts } = await embedder.catalogue.list();
  const count = experts.length === 1 ? "1 expert" : `${experts.length} experts`;
  return `${count}, backend ${embedder.backend.name}: ${embedder.backend.device}`;
}

/** Says what was measured to choose the backend. */
function remarkBackends(measured: readonly BackendMeasurement[], remark: (line: string) => void): void {
  for (const { name, device, gflops, unusable } of measured) {
    const rate = `${gflops < 10 ? gflops.toFixed(1) : gflops.toFixed(0)} GFLOP/s`;
    remark(toPlain(`backend ${name}: ${unusable === undefined ? `${rate} (${device})` : `not used: ${unusable}`}`));
  }
}

async function remarkUnusable(catalogue: Catalogue, remark: (line: string) => void): Promise<void> {
  const { experts, unusable } = await listExperts(catalogue);
  for (const { name, message } of unusable) remark(toPlain(`not served: ${name}: ${message}`));
  if (experts.length === 0) remark("no experts yet: put expert folders into the --experts folder");
}

function parseWindow(text: string): number {
  const bytes = text === "default" ? protocolWindowBytes : parseSize(text);
  if (bytes >= protocolWindowBytes && bytes < 2 ** 31) return bytes;
  throw new InvalidArgumentError(`HTTP/2 allows ${protocolWindowBytes} to 2147483647 bytes.`);
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
