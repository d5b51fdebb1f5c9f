import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Random } from "../src/linalg/random.js";
import type { VectorStore } from "../src/vectors/vector-store.js";
import type { Bench } from "./bench-options.js";
import { type Child, runChild, startChild } from "./child-process.js";
import { applyOperation, createModel, createOperation, laneCount, type Model, toLines } from "./crash-operations.js";
import { printVerdicts } from "./report.js";

/** Opens stores for the crash test; one module per kind of store. */
export interface CrashModule {
  /** Makes a place for a store of its own, which all rounds use. */
  createPlace(): Promise<string>;
  removePlace(place: string): Promise<void>;
  /** Opens the store at a place, from any process. */
  openStore(place: string): Promise<VectorStore>;
  /** What happens beside the death of the writer: that of a server. */
  interrupt?(): Promise<void>;
}

/** Modules by the name of `--store`. */
const modules: Readonly<Record<string, string>> = {
  lmdb: "./crash-lmdb.js",
  postgres: "./crash-postgres.js",
  "postgres-server": "./crash-postgres-server.js",
};

const childProgram = fileURLToPath(new URL("./store-crash-child.js", import.meta.url));
/** In one round of so many it is killed while it starts. */
const earlyEvery = 8;
const longestEarlyMs = 600;

/** Is everything there that was acknowledged, and nothing by half, when a process is killed? */
export const storeCrash: Bench = {
  summary: "kills who writes to a store, or its server, again and again, and compares every record",
  options: {
    store: { help: `store: ${Object.keys(modules).join(", ")}`, fallback: "lmdb" },
    rounds: { help: "kills", fallback: "50" },
    seed: { help: "seed of the changes and of the moments", fallback: "1" },
  },
  run: async (options) => {
    const outcome = await crash({
      store: options.text("store"),
      rounds: options.count("rounds"),
      seed: options.count("seed", 0),
      onRound: (line) => console.error(line),
    });
    console.log(`- ${outcome.rounds} kills, ${outcome.acknowledged} changes acknowledged`);
    console.log(`- ${outcome.unacknowledged} more were there, whole, whose process was killed before it could tell`);
    console.log(`- ${outcome.records} records at the end`);
    for (const fault of outcome.faults) console.log(`- ${fault}`);
    return printVerdicts([
      [outcome.faults.length === 0, `${outcome.faults.length} faults`, "0"],
      [outcome.acknowledged > 0, `${outcome.acknowledged} changes that could have been lost`, "some"],
    ]);
  },
};

/** What came of the kills. */
export interface CrashOutcome {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly unacknowledged: number;
  readonly records: number;
  readonly faults: readonly string[];
}

/** Kills writers of one store again and again, and compares what is there after each. */
export async function crash(options: {
  readonly store: string;
  readonly rounds: number;
  readonly seed: number;
  /** A process is killed at most so long after it is ready, in milliseconds. Default 1,500. */
  readonly longestMs?: number;
  readonly onRound?: (line: string) => void;
}): Promise<CrashOutcome> {
  const { store, rounds, seed, longestMs = 1500, onRound = () => {} } = options;
  const path = modules[store];
  if (path === undefined) throw new Error(`no store ${store}; there are ${Object.keys(modules).join(", ")}`);
  const modulePath = new URL(path, import.meta.url).href;
  const module: CrashModule = await import(modulePath);
  const place = await module.createPlace();
  const random = new Random(seed);
  const lanes = Array.from({ length: laneCount }, () => ({ model: createModel(), next: 0 }));
  const faults: string[] = [];
  let [acknowledged, unacknowledged, records] = [0, 0, 0];
  try {
    for (let round = 0; round < rounds && faults.length === 0; round++) {
      const args = [childProgram, modulePath, place, String(seed), ...lanes.map(({ next }) => String(next))];
      const child = await startChild({ program: process.execPath, args });
      const done = await killAtRandom(child, random, { round, longestMs, interrupt: module.interrupt });
      const lines = await runChild({ program: process.execPath, args: [childProgram, modulePath, place, "read"] });
      faults.push(...lines.filter((line) => line.startsWith("wrong:")));
      records = lines.length;
      for (const [lane, state] of lanes.entries()) {
        const last = done.get(lane) ?? state.next - 1;
        let { model } = state;
        for (let index = state.next; index <= last; index++)
          model = applyOperation(model, createOperation(seed, lane, index));
        acknowledged += last + 1 - state.next;
        const found = new Set(lines.filter((line) => line.includes(`"lane-${lane}/`)));
        const after = applyOperation(model, createOperation(seed, lane, last + 1));
        // What was under way when the process was killed is there whole or not at all.
        const isBefore = isSame(found, model);
        if (!isBefore && !isSame(found, after)) faults.push(describe(round, lane, last, found, model, after));
        if (!isBefore) unacknowledged++;
        Object.assign(state, { model: isBefore ? model : after, next: last + 2 });
      }
      onRound(`round ${round + 1}: ${acknowledged} changes acknowledged, ${records} records`);
    }
  } finally {
    await module.removePlace(place);
  }
  return { rounds, acknowledged, unacknowledged, records, faults };
}

/** Lets a writer work for a while, kills it, and tells the last change of each lane that it acknowledged. */
async function killAtRandom(
  child: Child,
  random: Random,
  options: {
    readonly round: number;
    readonly longestMs: number;
    readonly interrupt: (() => Promise<void>) | undefined;
  },
): Promise<ReadonlyMap<number, number>> {
  const { round, longestMs, interrupt } = options;
  const done = new Map<number, number>();
  const isEarly = round % earlyEvery === earlyEvery - 1;
  const kill = async (ms: number): Promise<void> => {
    await sleep(ms);
    await interrupt?.();
    child.signal("SIGKILL");
  };
  let killed = isEarly ? kill(random.next() * longestEarlyMs) : undefined;
  for await (const line of child.lines) {
    const [word, lane, index] = line.split(" ");
    if (word === "ready") killed ??= kill(random.next() * longestMs);
    if (word === "done") done.set(Number(lane), Number(index));
  }
  if (killed === undefined) throw new Error(`the writer ended by itself: ${child.errorText()}`);
  await killed;
  const code = await child.ended;
  // Without its server it may end by itself.
  if (code !== null && interrupt === undefined)
    throw new Error(`the writer ended before it was killed: ${child.errorText()}`);
  return done;
}

function isSame(found: ReadonlySet<string>, model: Model): boolean {
  const expected = toLines(model);
  return found.size === expected.size && [...expected].every((line) => found.has(line));
}

function describe(
  round: number,
  lane: number,
  last: number,
  found: ReadonlySet<string>,
  model: Model,
  after: Model,
): string {
  const count = (expected: ReadonlySet<string>): string => {
    const missing = [...expected].filter((line) => !found.has(line)).length;
    const extra = [...found].filter((line) => !expected.has(line)).length;
    return `${missing} missing and ${extra} too many`;
  };
  return `wrong: round ${round + 1}, lane ${lane}, after change ${last}: ${count(toLines(model))}, or ${count(toLines(after))} if the next one was made`;
}
