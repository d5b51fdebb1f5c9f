import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type BackendName, backendNames, isBackendName } from "../src/compute/create-backend.js";
import { connect } from "../src/rpc/client.js";
import { embedFiles } from "../src/search/embed-files.js";
import type { EmbedPort } from "../src/search/embed-port.js";
import { createProbingPort } from "../src/search/probing/create-probing-port.js";
import { encodeSafetensors } from "../src/weights/safetensors-writer.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type DelayProxy, startDelayProxy } from "./delay-proxy.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { median, relativeError, toMarkdownTable, toMebibytes, toSpread, toVerdict } from "./report.js";
import { SeededLayer } from "./seeded-layer.js";
import { serveCommand, startServer } from "./start-server.js";

/** Most that a layer projected here may differ from the same one streamed, relative L2. */
const MOST_ERROR = 1e-6;

/** One way to embed the layer, and what each round of it took. */
interface Subject {
  readonly title: string;
  /** Opens what embeds, ready to be asked. */
  open(round: number): Promise<EmbedPort>;
  readonly openMs: number[];
  readonly embedMs: number[];
  readonly up: number[];
  readonly down: number[];
  representation: readonly number[];
}

/** What does it save to send a projection in place of a layer, where the uplink is slow? */
export const localProbing: Bench = {
  summary:
    "a layer over a link of 100 Mbit/s: streamed, and projected here with probes to fetch and with probes at hand",
  options: {
    rows: { help: "rows of the layer; 4096 x 4096 float32 are 64 MiB", fallback: "4096" },
    columns: { help: "columns of the layer", fallback: "4096" },
    mbit: { help: "rate of the link in each direction, in 10^6 bits per second", fallback: "100" },
    rtt: { help: "round trip in milliseconds", fallback: "20" },
    rounds: { help: "rounds, in each of which every way has its turn", fallback: "3" },
    backend: { help: "compute backend of this side", fallback: "onnx" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const [rows, columns] = [options.count("rows"), options.count("columns")];
  const [mbit, rttMs] = [options.number("mbit"), options.number("rtt")];
  await writeExpert(join(folder, "experts", "bench"), { rows, columns });
  const path = await writeLayer(folder, rows, columns);
  const server = await startServer(serveCommand({ experts: join(folder, "experts") }));
  const proxy = await startDelayProxy({
    target: server.target,
    rttMs,
    bitsPerSecond: mbit * 1e6,
    maxHeldBytes: 1024 * 1024,
  });
  const subjects = createSubjects(proxy.target, folder, toBackend(options.text("backend")));
  try {
    // Past the link: loads the expert, and has the layer in the file cache.
    await embedOnce(connect({ target: server.target }), path);
    for (let round = 0; round < options.count("rounds"); round++) {
      for (const subject of subjects) await runRound(subject, round, path, proxy);
    }
  } finally {
    await Promise.all([proxy.stop(), server.stop()]);
  }
  return report(subjects, { bytes: rows * columns * 4, mbit, rttMs });
}

function toBackend(name: string): BackendName {
  if (isBackendName(name)) return name;
  throw new Error(`--backend is ${name}; it can be ${backendNames.join(", ")}`);
}

async function writeLayer(folder: string, rows: number, columns: number): Promise<string> {
  const layer = new SeededLayer(rows * columns * 4, 1);
  const bytes = new Uint8Array(layer.totalBytes);
  for (let at = 0; at < bytes.byteLength; ) {
    const piece = layer.read(at, bytes.byteLength - at);
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  const path = join(folder, "model.safetensors");
  await writeFile(path, encodeSafetensors([{ name: "layer.weight", dtype: "F32", shape: [rows, columns], bytes }]));
  return path;
}

function createSubjects(target: string, folder: string, backend: BackendName): readonly Subject[] {
  const openProbing = async (cacheFolder: string): Promise<EmbedPort> => {
    const client = connect({ target });
    const port = await createProbingPort(client, { cacheFolder, backend });
    const close = async (): Promise<void> => {
      await port.close();
      await client.close();
    };
    return { ...port, close };
  };
  const results = () => ({ openMs: [], embedMs: [], up: [], down: [], representation: [] });
  const kept = join(folder, "kept");
  return [
    { title: "streamed", open: async () => connect({ target }), ...results() },
    {
      title: "projected here, probes fetched",
      open: async () => openProbing(await mkdtemp(join(folder, "probes-"))),
      ...results(),
    },
    {
      title: "projected here, probes at hand",
      open: async (round) => {
        if (round === 0) await embedOnce(await openProbing(kept), join(folder, "model.safetensors"));
        return openProbing(kept);
      },
      ...results(),
    },
  ];
}

async function runRound(subject: Subject, round: number, path: string, proxy: DelayProxy): Promise<void> {
  // A file of its own: for some minutes the server would answer the same upload again without its bytes.
  const copy = join(dirname(path), `model-${subject.embedMs.length}-${subject.title.length}.safetensors`);
  await copyFile(path, copy);
  const openedAt = performance.now();
  const port = await subject.open(round);
  const before = proxy.passed;
  const startedAt = performance.now();
  subject.representation = await embedOnce(port, copy);
  const after = proxy.passed;
  subject.openMs.push(startedAt - openedAt);
  subject.embedMs.push(performance.now() - startedAt);
  await rm(copy);
  subject.up.push(after.up - before.up);
  subject.down.push(after.down - before.down);
  console.error(`round ${round + 1}: ${subject.title}: ${((subject.embedMs.at(-1) ?? 0) / 1000).toFixed(2)} s`);
}

/** Embeds the layer, and closes what embedded it. */
async function embedOnce(port: EmbedPort, path: string): Promise<readonly number[]> {
  try {
    for await (const { outcome } of embedFiles([path], port)) {
      if (outcome instanceof Error) throw outcome;
      return Array.from(outcome.embeddings[0]?.representation ?? []);
    }
    throw new Error("nothing was embedded");
  } finally {
    await port.close();
  }
}

function report(subjects: readonly Subject[], link: { bytes: number; mbit: number; rttMs: number }): boolean {
  const [streamed] = subjects;
  const seconds = ({ embedMs }: Subject): number[] => embedMs.map((ms) => ms / 1000);
  const base = median(streamed?.embedMs ?? []);
  const table = subjects.map((subject) => [
    subject.title,
    toSpread(seconds(subject), 2),
    (base / median(subject.embedMs)).toFixed(1),
    String(median(subject.up)),
    String(median(subject.down)),
  ]);
  console.log(toMarkdownTable(["a layer", "seconds", "times as fast", "bytes up", "bytes down"], table));
  const { bytes, mbit, rttMs } = link;
  console.log(`\n- a layer of ${toMebibytes(bytes)} MiB over ${mbit} Mbit/s with ${rttMs} ms; median with range`);
  const own = subjects.slice(1);
  console.log(
    `- to open what projects takes ${(median(own.at(-1)?.openMs ?? []) / 1000).toFixed(2)} s more, once per process`,
  );
  const error = Math.max(
    ...own.map(({ representation }) => relativeError(representation, streamed?.representation ?? [])),
  );
  const isRight = error <= MOST_ERROR;
  console.log(toVerdict(isRight, `error beside the streamed layer ${error.toExponential(1)}`, `<= ${MOST_ERROR}`));
  return isRight;
}
