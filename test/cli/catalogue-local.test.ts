import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { serveCommand, startServer } from "../../bench/start-server.js";
import { readPackedTree, toModelFile } from "../../scripts/demo-zoo/packed-tree.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { parseLines } from "./run-cli.js";
import { runInProcess } from "./run-in-process.js";

interface HitLine {
  readonly query: string;
  readonly model: string;
  readonly claims: { readonly concept: string };
}

const concepts = ["checked blue circle", "dotted red square"];
const experts = join("demo", "experts");
const encoder = join("demo", "text-encoder");

/** Models of two of the demo's concepts, and some of others. */
async function writeModels(folder: string): Promise<number> {
  const tree = await readPackedTree(join("demo", "loras.safetensors"));
  const wanted = tree.models.flatMap(({ metadata }, index) => {
    return concepts.includes(metadata["concept"] ?? "") || index % 100 === 0 ? [index] : [];
  });
  await mkdir(folder);
  for (const index of wanted) await writeFile(join(folder, `${index}.safetensors`), toModelFile(tree, index));
  return wanted.length;
}

test("a folder is indexed and found in words, in this process and by a server on the same store", async (t) => {
  const folder = await createTemporaryFolder(t);
  const store = join(folder, "store");
  const count = await writeModels(join(folder, "models"));
  const local = ["--local", "--experts", experts, "--store", store];
  const indexed = await runInProcess(["index", join(folder, "models"), ...local, "--backend", "wasm"]);
  t.is(indexed.code, 0, indexed.stderr);
  t.regex(indexed.stderr, new RegExp(`^${count} of ${count} models indexed in `));
  t.deepEqual(await readdir(store), ["catalogue.mdb", "catalogue.mdb-lock"]);

  // The text encoder beside the folder of experts is found without being named.
  const here = await runInProcess(["search", ...concepts, ...local, "-k", "2", "--json"]);
  t.is(here.code, 0, here.stderr);
  t.deepEqual(
    parseLines<HitLine>(here.stdout).map(({ query, claims }) => [query, claims.concept]),
    concepts.flatMap((concept) => [1, 2].map(() => [concept, concept])),
  );

  const extra = ["--store", store, "--text-encoder", encoder, "--backend", "wasm"];
  const server = await startServer(serveCommand({ experts, extra }));
  try {
    const at = ["--server", server.target];
    const there = await runInProcess(["search", ...concepts, ...at, "-k", "2", "--json"]);
    t.is(there.code, 0, there.stderr);
    t.deepEqual(
      parseLines<HitLine>(there.stdout).map(({ query, model }) => [query, model]),
      parseLines<HitLine>(here.stdout).map(({ query, model }) => [query, model]),
    );
    const labels = ["--labels", [...concepts, "striped pink ring"].join(",")];
    const file = join(folder, "models", parseLines<HitLine>(here.stdout)[2]?.model ?? "");
    const judged = await runInProcess(["classify", `file:${file}`, ...labels, ...at, "--top", "1"]);
    t.is(judged.code, 0, judged.stderr);
    t.regex(judged.stdout, / dotted red square\n$/);
    const bad = join(folder, "bad.safetensors");
    await writeFile(bad, "nothing of the kind");
    const mixed = await runInProcess(["classify", bad, `file:${file}`, ...labels, ...at, "--top", "1"]);
    t.is(mixed.code, 1, mixed.stderr);
    t.regex(mixed.stdout, / dotted red square\n$/);
    t.regex(mixed.stderr, /damaged or no safetensors file.*\n(.*\n)*1 model could not be judged\n$/);
    const again = await runInProcess(["index", join(folder, "models"), ...at]);
    t.regex(again.stderr, new RegExp(`^0 of ${count} models indexed, ${count} there already\n$`));
  } finally {
    await server.stop();
  }
});
