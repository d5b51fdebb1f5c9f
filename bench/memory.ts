import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, BenchOptions } from "./bench-options.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { createBenchClient } from "./grpc-client.js";
import { runLoad, warmUp } from "./load-client.js";
import { readProcessMemory, resetPeakMemory } from "./process-stats.js";
import { printVerdicts, toMarkdownTable, toMebibytes, type Verdict } from "./report.js";
import { serveCommand, startServer } from "./start-server.js";

interface Case {
  readonly rows: number;
  readonly columns: number;
  readonly streams: number;
}

interface Measured extends Case {
  /** Resident before any expert was loaded. */
  readonly bareBytes: number;
  /** Resident after a first chunk: the expert is loaded. */
  readonly idleBytes: number;
  readonly peakBytes: number;
  /** What the server said it had set aside, at most. */
  readonly reservedBytes: number;
  /** GetServerInfo's runtime_bytes. */
  readonly runtimeBytes: number;
  readonly budgetBytes: number;
  readonly seconds: number;
}

/** One chunk: enough to load the expert, too little to fill a stream's memory. */
const WARM_UP_BYTES = 1024 ** 2;
/** The process is left alone for so long before it counts as idle. */
const SETTLE_MS = 3000;
const POLL_MS = 250;
const MOST_ABOVE_IDLE = 128 * 1024 ** 2;
const MOST_GROWTH = 1.1;

/** Does a layer's size cost the server memory? */
export const memory: Bench = {
  summary: "peak memory of the server for a layer of 1 GiB, one of 16 GiB, and several at once",
  options: {
    columns: { help: "columns of the layers", fallback: "65536" },
    "small-rows": { help: "rows of the small layer; 4096 x 65536 float32 are 1 GiB", fallback: "4096" },
    "large-rows": { help: "rows of the large layer; 65536 x 65536 float32 are 16 GiB", fallback: "65536" },
    streams: { help: "large layers at once in the last case; 0 leaves it out", fallback: "4" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const columns = options.count("columns");
  const [smallRows, largeRows] = [options.count("small-rows"), options.count("large-rows")];
  const streams = options.count("streams", 0);
  const small = await measureCase(folder, { rows: smallRows, columns, streams: 1 });
  const large = await measureCase(folder, { rows: largeRows, columns, streams: 1 });
  const many = streams > 0 ? await measureCase(folder, { rows: largeRows, columns, streams }) : undefined;
  const measured = many === undefined ? [small, large] : [small, large, many];
  console.log(
    toMarkdownTable(
      [
        "layer",
        "streams",
        "bare",
        "idle, expert loaded",
        "peak",
        "peak above idle",
        "peak above bare",
        "reserved",
        "s",
      ],
      measured.map((one) => [
        `${one.rows} × ${one.columns} F32, ${toMebibytes(one.rows * one.columns * 4)} MiB`,
        String(one.streams),
        ...[
          one.bareBytes,
          one.idleBytes,
          one.peakBytes,
          aboveIdle(one),
          one.peakBytes - one.bareBytes,
          one.reservedBytes,
        ].map(toMebibytes),
        one.seconds.toFixed(1),
      ]),
    ),
  );
  console.log("\n- memory in MiB; reserved is the most that GetServerInfo said was set aside meanwhile");
  // The large layer's expert is larger (V has a column per row of X), which is no matter of the stream.
  const growth = (large.peakBytes - large.idleBytes + small.idleBytes) / small.peakBytes;
  console.log(`- above idle, large to small: ${(aboveIdle(large) / aboveIdle(small)).toFixed(3)}`);
  const verdicts: Verdict[] = [
    [aboveIdle(large) <= MOST_ABOVE_IDLE, `${toMebibytes(aboveIdle(large))} MiB above idle`, "<= 128 MiB"],
    [
      growth <= MOST_GROWTH,
      `peak with the small expert, large to small layer: ${growth.toFixed(3)}`,
      `<= ${MOST_GROWTH}`,
    ],
  ];
  if (many !== undefined) {
    const plan = many.runtimeBytes + many.reservedBytes;
    const parts = `${toMebibytes(many.runtimeBytes)} runtime + ${toMebibytes(many.reservedBytes)} reserved of ${toMebibytes(many.budgetBytes)}`;
    const fits = many.peakBytes <= plan && many.reservedBytes <= many.budgetBytes;
    verdicts.push([
      fits,
      `${many.streams} at once: the process peaks at ${toMebibytes(many.peakBytes)} MiB`,
      `<= ${toMebibytes(plan)} MiB announced: ${parts}`,
    ]);
  }
  return printVerdicts(verdicts);
}

/** A fresh server with one expert, warmed up by one chunk; then the streams. */
async function measureCase(folder: string, { rows, columns, streams }: Case): Promise<Measured> {
  const experts = join(folder, `rows-${rows}`);
  await writeExpert(join(experts, "bench"), { rows, columns });
  const server = await startServer(serveCommand({ experts }));
  const client = createBenchClient(server.target);
  try {
    await client.getServerInfo();
    const bareBytes = (await readProcessMemory(server.pid)).residentBytes;
    const load = { target: server.target, rows, columns };
    await warmUp(load, WARM_UP_BYTES);
    await sleep(SETTLE_MS);
    const idleBytes = (await readProcessMemory(server.pid)).residentBytes;
    await resetPeakMemory(server.pid);
    const start = performance.now();
    const work = Promise.all(Array.from({ length: streams }, () => runLoad(load)));
    const plan = await pollPlan(client, work);
    await work;
    const seconds = (performance.now() - start) / 1000;
    const { peakBytes } = await readProcessMemory(server.pid);
    return { rows, columns, streams, bareBytes, idleBytes, peakBytes, ...plan, seconds };
  } finally {
    client.close();
    await server.stop();
  }
}

/** The most that was reserved until the work ended, and the budget. */
async function pollPlan(
  client: ReturnType<typeof createBenchClient>,
  work: Promise<unknown>,
): Promise<{ reservedBytes: number; runtimeBytes: number; budgetBytes: number }> {
  let working = true;
  const done = (): void => {
    working = false;
  };
  work.then(done, done);
  let [reservedBytes, runtimeBytes, budgetBytes] = [0, 0, 0];
  while (working) {
    const { memoryPlan } = await client.getServerInfo();
    reservedBytes = Math.max(reservedBytes, Number(memoryPlan?.reservedBytes ?? 0n));
    runtimeBytes = Number(memoryPlan?.runtimeBytes ?? 0n);
    budgetBytes = Number(memoryPlan?.budgetBytes ?? 0n);
    await sleep(POLL_MS);
  }
  return { reservedBytes, runtimeBytes, budgetBytes };
}

function aboveIdle({ peakBytes, idleBytes }: Measured): number {
  return peakBytes - idleBytes;
}
