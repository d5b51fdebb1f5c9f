import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { type CliResult, makeExampleFolder } from "./run-cli.js";
import { runInProcess } from "./run-in-process.js";

/** The example, and servers with catalogues of its models. */
export interface CatalogueRig {
  /** The example's folder; `more/` has a copy of a model and a file that is none. */
  readonly cwd: string;
  /** How the models were indexed by the server that has all of them, which no test changes. */
  readonly indexed: CliResult;
  /** Starts a server on the example's experts, with a catalogue of its own that is empty; gives the options that name it. */
  start(hasStore?: boolean): Promise<readonly string[]>;
  /** Starts a server with what the full one has in some spaces, imported with these options. */
  startCopy(spaces: readonly string[], ...words: readonly string[]): Promise<readonly string[]>;
  /**
   * Runs a command in this process; words that begin with ./ or @./ are below the example's folder.
   *
   * @param at names the server (default: the full one).
   */
  run(words: readonly string[], at?: readonly string[]): Promise<CliResult>;
  close(): Promise<void>;
}

/** Makes the example and indexes all of its models, with what is known of them. */
export async function openCatalogueRig(): Promise<CatalogueRig> {
  const cwd = await makeExampleFolder();
  const servers: RunningServer[] = [];
  const start = async (hasStore = true): Promise<readonly string[]> => {
    const experts = openCatalogue(join(cwd, "experts"));
    // Backends are not measured anew for each.
    const settings = { workerCount: 1, backend: "wasm", memoryBudgetBytes: 2 ** 30 } as const;
    const store = hasStore ? createMemoryStore() : undefined;
    const server = await startServer({ ...settings, catalogue: experts, store });
    servers.push(server);
    return ["--server", `${server.host}:${server.port}`];
  };
  await mkdir(join(cwd, "more"));
  await copyFile(join(cwd, "models", "jazz-lora-1.safetensors"), join(cwd, "more", "renamed.safetensors"));
  await writeFile(join(cwd, "more", "nonsense.safetensors"), "nothing of the kind");
  const rows = [
    "path,license,rank",
    "jazz-lora-1.safetensors,mit,4",
    "models/chess-lora-1.safetensors,mit,8",
    "gone,mit,1",
  ];
  await writeFile(join(cwd, "about.csv"), rows.join("\n"));
  const full = await start();
  const run = (words: readonly string[], at: readonly string[] = full): Promise<CliResult> =>
    runInProcess([...words.map((word) => word.replace(/^(@?)\.\//, `$1${cwd}/`)), ...at]);
  const indexed = await run(["index", "./models", "--meta", "source=example", "--metadata", "./about.csv"]);
  return {
    cwd,
    indexed,
    start,
    startCopy: async (spaces, ...words) => {
      const at = await start();
      for (const space of spaces) {
        const file = join(cwd, `${space}-${at[1]?.replace(":", "-")}.jsonl`);
        await run(["export", "--space", space, "--out", file]);
        const { code, stderr } = await run(["catalogue", "import", file, ...words], at);
        if (code !== 0) throw new Error(stderr);
      }
      return at;
    },
    run,
    close: async () => {
      for (const server of servers) await server.close(0);
      await rm(cwd, { recursive: true, force: true });
    },
  };
}
