import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { connect } from "../../src/rpc/client.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { relativeError } from "../helpers/oracle.js";
import { makeExampleFolder, parseLines } from "./run-cli.js";
import { probesFolder, runInProcess } from "./run-in-process.js";

interface Line {
  readonly file: string;
  readonly representation: readonly number[];
  readonly bytes: { readonly received: number; readonly total: number };
}

let cwd = "";
let server: RunningServer;
let at: readonly string[] = [];

test.before(async () => {
  cwd = await makeExampleFolder();
  const catalogue = openCatalogue(join(cwd, "experts"));
  server = await startServer({ catalogue, workerCount: 1, backend: "wasm", store: createMemoryStore() });
  at = ["--server", `${server.host}:${server.port}`];
});
test.after.always(async () => {
  await server.close(0);
  for (const folder of [cwd, probesFolder]) await rm(folder, { recursive: true, force: true });
});

test.serial("--private gives the results of streaming, and sends no weights", async (t) => {
  const models = join(cwd, "models");
  const streamed = await runInProcess(["embed", models, "--json", ...at]);
  const kept = await runInProcess(["embed", models, "--json", "--private", "--backend", "wasm", ...at]);
  t.is(kept.code, 0, kept.stderr);
  const wanted = new Map(parseLines<Line>(streamed.stdout).map((line) => [line.file, line]));
  const found = parseLines<Line>(kept.stdout);
  t.is(found.length, wanted.size);
  for (const { file, representation, bytes } of found) {
    t.true(relativeError(representation, wanted.get(file)?.representation ?? []) <= 1e-6, file);
    t.is(bytes.received, 0);
    t.is(bytes.total, wanted.get(file)?.bytes.total ?? 0);
  }
  t.true((await readdir(probesFolder)).every((name) => /^[0-9a-f]{64}\.safetensors$/.test(name)));
});

test.serial("index --private indexes what was projected here, under its hash", async (t) => {
  const [model = ""] = await readdir(join(cwd, "models"));
  const path = join(cwd, "models", model);
  const words = ["index", path, "--private", "--backend", "wasm", "--meta", "source=here", ...at];
  const { code, stderr } = await runInProcess(words);
  t.is(code, 0, stderr);
  const client = connect({ target: at[1] ?? "" });
  const [record] = await client.getModels({ modelIds: [model] });
  await client.close();
  t.regex(record?.weightsHash ?? "", /^[0-9a-f]{64}$/);
  t.deepEqual(record?.metadata, { source: "here" });
  const again = await runInProcess(words);
  t.is(again.code, 0);
});

test("--private and --local exclude each other", async (t) => {
  for (const command of ["embed", "index"]) {
    const { code, stderr } = await runInProcess([command, "x", "--private", "--local"]);
    t.is(code, 2);
    t.regex(stderr, /--private.*--local|--local.*--private/);
  }
});
