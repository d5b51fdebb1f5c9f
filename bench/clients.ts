import { existsSync } from "node:fs";
import { link, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type Command, runChild } from "./child-process.js";
import { startDelayProxy } from "./delay-proxy.js";
import { withFolder, writeExpert, writeLoraModels, writeSparseModel } from "./fixtures.js";
import { median, toMarkdownTable, toMebibytes, toSpread, toVerdict } from "./report.js";
import { repositoryRoot } from "./repository-root.js";
import { serveCommand, startServer } from "./start-server.js";

const GIBIBYTE = 1024 ** 3;
const MOST_MEMORY = 100 * 1024 ** 2;
/** What the fastest language may be ahead of the slowest through a round trip. */
const MOST_SPREAD = 0.2;
const COLUMNS = 4096;
const MODULE = "lm.blocks.1.attn.to_out";

/** What a client's program measures; all print the same line. */
interface Figures {
  readonly bytes: number;
  readonly models: number;
  readonly seconds: number;
  readonly cpu_seconds: number;
  readonly idle_bytes: number;
  readonly peak_bytes: number;
}

/** Programs that measure a client, by language. */
const programs: Readonly<Record<string, Command>> = {
  typescript: {
    program: process.execPath,
    args: [fileURLToPath(new URL("./typescript-client.js", import.meta.url))],
  },
  python: { program: "/usr/bin/python3", args: [join(repositoryRoot, "clients/python/bench/measure.py")] },
  go: {
    program: join(repositoryRoot, "clients/go/with-gopath"),
    args: ["go", "run", "probestream.dev/probestream/bench"],
  },
};

/** What do the clients of each language cost? */
export const clients: Bench = {
  summary: "memory, processor time and rate of the clients of each language",
  options: {
    languages: { help: "of typescript, python, go; those that are here if none is named", fallback: "" },
    gigabytes: { help: "layer on disk for memory and processor time, in GiB; sparse", fallback: "8" },
    megabytes: { help: "layer for the round trip, in MiB", fallback: "256" },
    rtt: { help: "round trip in milliseconds", fallback: "25" },
    models: { help: "small LoRA models, 128 x 128 of rank 8", fallback: "2400" },
    rounds: { help: "runs per figure, languages in turn", fallback: "3" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const languages = chooseLanguages(options.text("languages"));
  const isSmall = await measureLayer(folder, options, languages);
  const isEven = await measureRoundTrip(folder, options, languages);
  await measureModels(folder, options, languages);
  return isSmall && isEven;
}

function chooseLanguages(text: string): readonly string[] {
  const named = text.split(",").filter((name) => name !== "");
  const unknown = named.find((name) => programs[name] === undefined);
  if (unknown !== undefined)
    throw new Error(`--languages has ${unknown}; there are ${Object.keys(programs).join(", ")}`);
  if (named.length > 0) return named;
  return Object.entries(programs)
    .filter(([, { program, args }]) => [program, ...args].every((word) => !word.startsWith("/") || existsSync(word)))
    .map(([name]) => name);
}

/** A large layer from disk to a server that adds nothing up: what is left is the client and the transport. */
async function measureLayer(folder: string, options: BenchOptions, languages: readonly string[]): Promise<boolean> {
  const rows = Math.floor((options.number("gigabytes") * GIBIBYTE) / (4 * COLUMNS));
  const experts = join(folder, "large");
  await writeExpert(join(experts, "bench"), { rows, columns: COLUMNS, probes: 8, projection: 8 });
  const file = join(folder, "large.safetensors");
  await writeSparseModel(file, "layer", rows, COLUMNS);
  const discard = fileURLToPath(new URL("./discard-server.js", import.meta.url));
  const server = await startServer({ program: process.execPath, args: [discard, "--experts", experts] });
  const figures = new Map<string, { embed: Figures[]; bare: Figures[] }>();
  try {
    for (let round = 0; round < options.count("rounds"); round++) {
      for (const language of languages) {
        const known = figures.get(language) ?? { embed: [], bare: [] };
        figures.set(language, known);
        const at = ["-target", server.target, "-expert", "bench"];
        // A copy of the name: what was embedded minutes ago is not sent again.
        const path = await linkAs(file, `${language}-${round}`);
        known.embed.push(await runProgram(language, "layer", [...at, path]));
        known.bare.push(await runProgram(language, "bare", [...at, "-tensor", "layer.weight", path]));
        await rm(path);
        const [last, bare] = [known.embed.at(-1), known.bare.at(-1)];
        console.error(`round ${round + 1}: ${language}: ${show(last)}; bare ${show(bare)}`);
      }
    }
  } finally {
    await server.stop();
    await rm(file);
  }
  const head = ["client", "MB/s", "CPU s/GB", "CPU s/GB, bare stub", "above idle, MiB", "above idle, MiB, bare stub"];
  const table = [...figures].map(([language, { embed, bare }]) => [
    language,
    toSpread(embed.map(toRate), 0),
    toSpread(embed.map(toCpu), 2),
    toSpread(bare.map(toCpu), 2),
    toSpread(embed.map(toMemory), 0),
    toSpread(bare.map(toMemory), 0),
  ]);
  console.log(`A layer of ${options.text("gigabytes")} GiB from disk, to a server that projects nothing:\n`);
  console.log(`${toMarkdownTable(head, table)}\n`);
  const most = Math.max(
    ...[...figures.values()].flatMap(({ embed }) => embed.map((one) => one.peak_bytes - one.idle_bytes)),
  );
  const met = most <= MOST_MEMORY;
  console.log(toVerdict(met, `${toMebibytes(most)} MiB above idle at most`, "<= 100 MiB"));
  return met;
}

/** A layer through a round trip: whether no language is much slower than another. */
async function measureRoundTrip(folder: string, options: BenchOptions, languages: readonly string[]): Promise<boolean> {
  const rows = Math.floor((options.count("megabytes") * 1024 ** 2) / (4 * COLUMNS));
  const experts = join(folder, "middle");
  await writeExpert(join(experts, "bench"), { rows, columns: COLUMNS, probes: 8, projection: 8 });
  const file = join(folder, "middle.safetensors");
  await writeSparseModel(file, "layer", rows, COLUMNS);
  const server = await startServer(serveCommand({ experts }));
  const proxy = await startDelayProxy({ target: server.target, rttMs: options.number("rtt") });
  const rates = new Map<string, number[]>(languages.map((language) => [language, []]));
  try {
    for (let round = 0; round < options.count("rounds"); round++) {
      for (const language of languages) {
        const path = await linkAs(file, `far-${language}-${round}`);
        const found = await runProgram(language, "layer", ["-target", proxy.target, "-expert", "bench", path]);
        rates.get(language)?.push(toRate(found));
        console.error(`round ${round + 1}: ${language}: ${show(found)} at ${options.text("rtt")} ms`);
        await rm(path);
      }
    }
  } finally {
    await Promise.all([proxy.stop(), server.stop()]);
  }
  const table = [...rates].map(([language, found]) => [language, toSpread(found, 1)]);
  console.log(`\nA layer of ${options.text("megabytes")} MiB through a round trip of ${options.text("rtt")} ms:\n`);
  console.log(toMarkdownTable(["client", "MB/s"], table));
  const middles = [...rates.values()].map(median);
  if (middles.length < 2) return true;
  const spread = Math.max(...middles) / Math.min(...middles) - 1;
  const measured = `languages within ${(100 * spread).toFixed(0)}% of each other`;
  console.log(`\n${toVerdict(spread <= MOST_SPREAD, measured, `<= ${100 * MOST_SPREAD}%`)}`);
  return spread <= MOST_SPREAD;
}

async function measureModels(folder: string, options: BenchOptions, languages: readonly string[]): Promise<void> {
  const size = { module: MODULE, rows: 128, columns: 128 };
  const [models, experts, list] = [join(folder, "models"), join(folder, "small"), join(folder, "list")];
  await writeExpert(join(experts, "bench"), { ...size, kind: "lora" });
  await writeLoraModels(models, { ...size, count: options.count("models"), rank: 8 });
  const names = (await readdir(models)).sort().map((name) => join(models, name, "pytorch_lora_weights.safetensors"));
  await writeFile(list, names.join("\n"));
  const server = await startServer(serveCommand({ experts }));
  const figures = new Map<string, Figures[]>(languages.map((language) => [language, []]));
  try {
    for (let round = 0; round < options.count("rounds"); round++) {
      for (const language of languages) {
        const found = await runProgram(language, "models", [
          "-target",
          server.target,
          "-expert",
          "bench",
          "-list",
          list,
        ]);
        figures.get(language)?.push(found);
        console.error(`round ${round + 1}: ${language}: ${toModels(found).toFixed(0)} models/s`);
      }
    }
  } finally {
    await server.stop();
  }
  const table = [...figures].map(([language, found]) => [
    language,
    toSpread(found.map(toModels), 0),
    toSpread(
      found.map(({ cpu_seconds: cpu, models: count }) => (1000 * cpu) / count),
      2,
    ),
  ]);
  console.log(`\n${options.text("models")} LoRA models of 128 x 128 and rank 8:\n`);
  console.log(toMarkdownTable(["client", "models/s", "CPU ms per model"], table));
}

/** The same file under another name. */
async function linkAs(path: string, name: string): Promise<string> {
  const folder = join(path, "..", "names");
  await mkdir(folder, { recursive: true });
  const other = join(folder, `${name}.safetensors`);
  await link(path, other);
  return other;
}

async function runProgram(language: string, mode: string, args: readonly string[]): Promise<Figures> {
  const command = programs[language];
  if (command === undefined) throw new Error(`no program for ${language}`);
  const lines = await runChild({ program: command.program, args: [...command.args, mode, ...args] });
  return JSON.parse(lines.at(-1) ?? "null") as Figures;
}

function toRate({ bytes, seconds }: Figures): number {
  return bytes / 1e6 / seconds;
}

function toCpu({ bytes, cpu_seconds: cpu }: Figures): number {
  return cpu / (bytes / 1e9);
}

function toMemory({ idle_bytes: idle, peak_bytes: peak }: Figures): number {
  return (peak - idle) / 1024 ** 2;
}

function toModels({ models, seconds }: Figures): number {
  return models / seconds;
}

function show(figures: Figures | undefined): string {
  if (figures === undefined) return "nothing";
  return `${toRate(figures).toFixed(0)} MB/s, ${toCpu(figures).toFixed(2)} CPU s/GB, ${toMemory(figures).toFixed(0)} MiB above idle`;
}
