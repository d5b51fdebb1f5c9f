import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Random } from "../src/linalg/random.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type Child, startChild } from "./child-process.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { createBenchClient } from "./grpc-client.js";
import { denseManifest } from "./manifest.js";
import { median, printVerdicts, relativeError, toMarkdownTable, toMebibytes, type Verdict } from "./report.js";
import { type RunningServer, serveCommand, startServer } from "./start-server.js";

interface Layer {
  readonly rows: number;
  readonly columns: number;
  readonly totalBytes: number;
}

/** What one run of `resume-client.ts` printed. */
interface ClientRun {
  readonly start: number;
  /** Bytes of the tensor that the transport had taken, those before `start` included. */
  readonly sent: number;
  readonly representation: readonly number[] | undefined;
  readonly bytesReceived: number;
  readonly error: string | undefined;
}

/** One interruption and what came after it. */
interface Interruption {
  readonly victim: Victim;
  readonly sent: number;
  /** Where the plan wants to go on, at once and after the pause. */
  readonly offsets: readonly [number, number];
  readonly committed: boolean;
  readonly bytesReceived: number;
  readonly error: number;
}

type Victim = "client" | "server";

const MOST_LOST_BYTES = 16 * 1024 ** 2;
const MOST_ERROR = 1e-6;
/** Tries of a resumed upload while the server still holds the one that was cut off. */
const MOST_TRIES = 20;
const TRY_AGAIN_MS = 250;

/** Is an upload that was cut off resumed, near where it was, with the same result? */
export const resume: Bench = {
  summary: "kill the client, then the server, at random points; resume; compare with the whole upload",
  options: {
    rows: { help: "rows of the layer; 16384 x 4096 float32 are 256 MiB", fallback: "16384" },
    columns: { help: "columns of the layer", fallback: "4096" },
    kills: { help: "kills of the client, and as many of the server", fallback: "20" },
    seed: { help: "seed of the points", fallback: "1" },
    "settle-ms": { help: "pause between the kill and the plan that counts, in milliseconds", fallback: "250" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const [rows, columns, kills] = [options.count("rows"), options.count("columns"), options.count("kills")];
  const layer = { rows, columns, totalBytes: rows * columns * 4 };
  const [experts, stateDir] = [join(folder, "experts"), join(folder, "state")];
  await mkdir(stateDir);
  await writeExpert(join(experts, "bench"), { rows, columns });
  const random = new Random(options.count("seed", 0));
  const interruptions: Interruption[] = [];
  let server = await startServer(serveCommand({ experts, stateDir }));
  try {
    const listen = server.target;
    const whole = await runToEnd(server, layer, "bench-upload-whole");
    for (const victim of ["client", "server"] as const) {
      for (let index = 0; index < kills; index++) {
        const uploadId = `bench-upload-${victim}-${index}`;
        const point = Math.floor(layer.totalBytes * (0.05 + 0.9 * random.next()));
        const cut = await runUntil(server, layer, uploadId, point, victim);
        if (victim === "server") server = await startServer(serveCommand({ experts, stateDir, listen }));
        const atOnce = await askOffset(server, layer, uploadId);
        await sleep(options.count("settle-ms", 0));
        const offset = await askOffset(server, layer, uploadId);
        const rest = await runToEnd(server, layer, uploadId);
        const interruption: Interruption = {
          victim,
          sent: cut.sent,
          offsets: [atOnce, offset],
          committed: cut.representation !== undefined,
          bytesReceived: rest.bytesReceived,
          error: relativeError(rest.representation ?? [], whole.representation ?? []),
        };
        interruptions.push(interruption);
        console.error(`${victim} ${index + 1}: sent ${cut.sent}, goes on from ${offset}, error ${interruption.error}`);
      }
    }
  } finally {
    await server.stop();
  }
  return report(interruptions, layer);
}

function report(interruptions: readonly Interruption[], layer: Layer): boolean {
  const lost = ({ sent, offsets }: Interruption): number => sent - offsets[1];
  const rows = (["client", "server"] as const).map((victim) => {
    const group = interruptions.filter((one) => one.victim === victim);
    return [
      victim,
      String(group.length),
      toMebibytes(Math.min(...group.map((one) => one.sent))),
      toMebibytes(Math.max(...group.map((one) => one.sent))),
      toMebibytes(median(group.map(lost))),
      toMebibytes(Math.max(...group.map(lost))),
      toMebibytes(Math.max(...group.map(({ sent, offsets }) => sent - offsets[0]))),
      Math.max(...group.map((one) => one.error)).toExponential(1),
    ];
  });
  const head = [
    "killed",
    "times",
    "least sent",
    "most sent",
    "sent anew, median",
    "most",
    "most, asked at once",
    "largest error",
  ];
  console.log(toMarkdownTable(head, rows));
  console.log(
    `\n- a layer of ${toMebibytes(layer.totalBytes)} MiB; sizes in MiB; sent is what the transport had taken`,
  );
  const most = Math.max(...interruptions.map(lost));
  const error = Math.max(...interruptions.map((one) => one.error));
  const committed = interruptions.filter((one) => one.committed || one.offsets[1] >= layer.totalBytes).length;
  const resumed = interruptions.filter(
    ({ bytesReceived, offsets }) => bytesReceived <= layer.totalBytes - offsets[1],
  ).length;
  const verdicts: Verdict[] = [
    [committed === 0, `${committed} of ${interruptions.length} cut uploads committed`, "none"],
    [most <= MOST_LOST_BYTES, `at most ${toMebibytes(most)} MiB sent anew`, "<= 16 MiB"],
    [resumed === interruptions.length, `${resumed} of ${interruptions.length} went on where the plan said`, "all"],
    [error <= MOST_ERROR, `error beside the whole upload ${error.toExponential(1)}`, `<= ${MOST_ERROR} relative`],
  ];
  return printVerdicts(verdicts);
}

/** Uploads to the end, going on where an earlier run was cut off. */
async function runToEnd(server: RunningServer, layer: Layer, uploadId: string): Promise<ClientRun> {
  let error = "";
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const run = await readRun(await startClient(server, layer, uploadId));
    if (run.representation !== undefined) return run;
    error = run.error ?? "no result";
    await sleep(TRY_AGAIN_MS);
  }
  throw new Error(`${uploadId} did not come to its end: ${error}`);
}

/** Uploads until the transport has taken `point` bytes, then kills the client or the server. */
async function runUntil(
  server: RunningServer,
  layer: Layer,
  uploadId: string,
  point: number,
  victim: Victim,
): Promise<ClientRun> {
  const child = await startClient(server, layer, uploadId);
  let killing: Promise<void> | undefined;
  return readRun(child, (sent) => {
    if (sent < point || killing !== undefined) return undefined;
    killing = victim === "server" ? server.kill() : Promise.resolve(child.signal("SIGKILL"));
    return killing;
  });
}

/** Reads what a client prints until it ends; `onSent` may start something that is waited for. */
async function readRun(child: Child, onSent?: (sent: number) => Promise<void> | undefined): Promise<ClientRun> {
  let run: ClientRun = { start: 0, sent: 0, representation: undefined, bytesReceived: 0, error: undefined };
  const started: (Promise<void> | undefined)[] = [];
  for await (const line of child.lines) {
    run = { ...run, ...parseLine(line) };
    started.push(onSent?.(run.sent));
  }
  await Promise.all([child.ended, ...started]);
  return run.error === undefined && child.errorText() !== "" ? { ...run, error: child.errorText() } : run;
}

function parseLine(line: string): Partial<ClientRun> {
  const value: unknown = JSON.parse(line);
  const fields = new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : []);
  const representation = fields.get("representation");
  if (Array.isArray(representation)) {
    return { representation: representation.map(Number), bytesReceived: Number(fields.get("bytesReceived")) };
  }
  if (fields.has("error")) return { error: String(fields.get("error")) };
  if (fields.has("start")) return { start: Number(fields.get("start")), sent: Number(fields.get("start")) };
  return { sent: Number(fields.get("sent")) };
}

function startClient(server: RunningServer, layer: Layer, uploadId: string): Promise<Child> {
  const script = fileURLToPath(new URL("resume-client.js", import.meta.url));
  const size = ["--rows", String(layer.rows), "--columns", String(layer.columns)];
  const args = [script, "--target", server.target, ...size, "--upload-id", uploadId];
  return startChild({ program: process.execPath, args });
}

/** Asks for the plan again: from which byte would the upload go on? */
async function askOffset(server: RunningServer, layer: Layer, uploadId: string): Promise<number> {
  const client = createBenchClient(server.target);
  try {
    const { starts } = await client.plan(denseManifest({ ...layer, expert: "", uploadId }));
    return Number(starts[0]?.offset ?? 0n);
  } finally {
    client.close();
  }
}
