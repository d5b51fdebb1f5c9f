import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ProbestreamError } from "../src/errors/probestream-error.js";
import { Random } from "../src/linalg/random.js";
import type { RetrievalQuery } from "../src/retrieval/retrieval-port.js";
import { connect, type ProbestreamClient } from "../src/rpc/client.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { readProcessMemory } from "./process-stats.js";
import { median, printVerdicts, quantile, toMarkdownTable, toMebibytes, type Verdict } from "./report.js";
import { startServer } from "./start-server.js";

const batchSizes = [1, 10, 100, 1000];
const words = 2000;
/** Texts that are asked for: people repeat themselves, and what the caches hold is soon there. */
const texts = 5000;
const hits = 10;
const program = fileURLToPath(new URL("./retrieve-load-child.js", import.meta.url));

/** On a machine that others use, what waits is slow, not lost. */
const deadlineMs = 600_000;

/** Memory at the end of the run beside that of its second fifth, at most. */
const mostGrowth = 1.1;

/** Does a server answer many clients that search at once, in bounded memory? */
export const retrieveLoad: Bench = {
  summary: "many clients search a catalogue at once, in batches of 1 to 1,000 texts, models and representations",
  options: {
    clients: { help: "clients, each with a connection of its own", fallback: "32" },
    seconds: { help: "length of the run", fallback: "300" },
    models: { help: "models of the catalogue", fallback: "20000" },
    width: { help: "numbers per representation", fallback: "128" },
  },
  run: measure,
};

/** What one call took. */
interface Call {
  readonly size: number;
  readonly ms: number;
}

interface Sample {
  readonly seconds: number;
  readonly residentBytes: number;
}

async function measure(options: BenchOptions): Promise<boolean> {
  const [clients, seconds] = [options.count("clients"), options.number("seconds")];
  const [models, width] = [options.count("models"), options.count("width")];
  const args = [program, models, width, words].map(String);
  const server = await startServer({ program: process.execPath, args }, 120_000);
  const spaceId = server.banner.split(" ").at(-1) ?? "";
  const calls: Call[] = [];
  const errors: string[] = [];
  const samples: Sample[] = [];
  const begin = performance.now();
  const elapsed = (): number => (performance.now() - begin) / 1000;
  const idle = await readProcessMemory(server.pid);

  const work = async (index: number): Promise<void> => {
    const client = connect({ target: server.target, deadlineMs });
    const random = new Random(index + 1);
    // The clients begin at different sizes.
    for (let turn = index; elapsed() < seconds; turn++) {
      const size = batchSizes[turn % batchSizes.length] ?? 1;
      const queries = Array.from({ length: size }, () => toQuery(random, { models, width, spaceId }));
      await ask(client, queries, calls, errors);
    }
    await client.close();
  };
  const watch = async (): Promise<void> => {
    while (elapsed() < seconds) {
      samples.push({ seconds: elapsed(), ...(await readProcessMemory(server.pid)) });
      await sleep(500);
    }
  };
  try {
    await Promise.all([watch(), ...Array.from({ length: clients }, (_, index) => work(index))]);
  } finally {
    await server.stop();
  }
  return report({ calls, errors, samples, idleBytes: idle.residentBytes, seconds, clients, models, width });
}

/** A third each of texts, stored models, and representations with what is not wanted. */
function toQuery(
  random: Random,
  { models, width, spaceId }: { readonly models: number; readonly width: number; readonly spaceId: string },
): RetrievalQuery {
  const whole = (limit: number): number => Math.floor(random.next() * limit);
  const kind = whole(3);
  if (kind === 0) return { positives: [{ text: toText(whole(texts)) }], k: hits };
  if (kind === 1) return { positives: [{ modelId: `model ${whole(models)}` }], k: hits };
  const representation = random.spread(width, 1);
  return { positives: [{ representation, spaceId }], negatives: [{ text: toText(whole(texts)) }], k: hits };
}

function toText(index: number): string {
  return `word${index % words} word${(index * 7) % words}`;
}

async function ask(
  client: ProbestreamClient,
  queries: readonly RetrievalQuery[],
  calls: Call[],
  errors: string[],
): Promise<void> {
  const begin = performance.now();
  try {
    const outcomes = await client.retrieve(queries);
    calls.push({ size: queries.length, ms: performance.now() - begin });
    for (const outcome of outcomes) {
      if (outcome instanceof ProbestreamError) errors.push(outcome.message);
      else if (outcome.hits.length !== hits) errors.push(`${outcome.hits.length} hits instead of ${hits}`);
    }
  } catch (error) {
    errors.push(error instanceof Error ? error.message : String(error));
  }
}

interface Run {
  readonly calls: readonly Call[];
  readonly errors: readonly string[];
  readonly samples: readonly Sample[];
  readonly idleBytes: number;
  readonly seconds: number;
  readonly clients: number;
  readonly models: number;
  readonly width: number;
}

function report({ calls, errors, samples, idleBytes, seconds, clients, models, width }: Run): boolean {
  const queries = calls.reduce((sum, { size }) => sum + size, 0);
  console.log(`${clients} clients, ${models} models of ${width} numbers, ${seconds} s\n`);
  console.log(
    toMarkdownTable(
      ["queries per call", "calls", "median ms", "95 %", "99 %", "most"],
      batchSizes.map((size) => {
        const own = calls.flatMap((call) => (call.size === size ? [call.ms] : []));
        const at = (share: number): string => quantile(own, share).toFixed(0);
        return [String(size), String(own.length), at(0.5), at(0.95), at(0.99), at(1)];
      }),
    ),
  );
  const part = (from: number, to: number): number =>
    median(
      samples
        .filter((one) => one.seconds >= from * seconds && one.seconds <= to * seconds)
        .map((one) => one.residentBytes),
    );
  const [start, middle, end] = [part(0.2, 0.4), part(0.4, 0.6), part(0.8, 1)];
  console.log(`\n- ${(queries / seconds).toFixed(0)} queries a second, ${calls.length} calls`);
  console.log(
    `- memory: idle ${toMebibytes(idleBytes)} MiB; medians of the second, third and last fifth of the run ${[start, middle, end].map(toMebibytes).join(", ")} MiB`,
  );
  for (const message of new Set(errors.slice(0, 1000))) console.log(`- error: ${message}`);
  const verdicts: Verdict[] = [
    [errors.length === 0, `${errors.length} errors`, "none"],
    [end <= mostGrowth * start, `memory ${(end / start).toFixed(2)} of what it was`, `at most ${mostGrowth}`],
  ];
  return printVerdicts(verdicts);
}
