import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { withFolder, writeExpert, writeLoraModels } from "../../bench/fixtures.js";
import { readCheckpoint } from "../../src/experts/checkpoint.js";
import { parseExpertManifest } from "../../src/experts/expert-manifest.js";

test("a made-up zero-shot expert reads back, the same for the same seed", async (t) => {
  const size = { rows: 12, columns: 10, probes: 4, projection: 3, representation: 5, head: { textWidth: 6 } };
  await withFolder(async (folder) => {
    for (const [name, seed] of [
      ["a", 1],
      ["b", 1],
      ["c", 2],
    ] as const)
      await writeExpert(join(folder, name), { ...size, seed });
    const read = (name: string) => readCheckpoint(join(folder, name, "expert.safetensors"), "zeroshot");
    const [a, b, c] = await Promise.all([read("a"), read("b"), read("c")]);
    t.deepEqual(a.digest, b.digest);
    t.notDeepEqual(a.digest, c.digest);
    t.deepEqual([a.u.rows, a.u.columns, a.v.rows, a.v.columns], [10, 4, 3, 12]);
    t.deepEqual([a.head.weight.rows, a.head.weight.columns], [5, 6]);
    const manifest = parseExpertManifest(await readFile(join(folder, "a", "expert.json"), "utf8"), "expert.json");
    t.deepEqual(manifest.layer.shape, { rows: 12, columns: 10 });
  });
});

test("a made-up classification expert names as many labels as its head has", async (t) => {
  await withFolder(async (folder) => {
    const head = { labelCount: 7 };
    await writeExpert(folder, { rows: 4, columns: 4, probes: 2, projection: 2, representation: 3, head });
    const { head: read } = await readCheckpoint(join(folder, "expert.safetensors"), "classification");
    t.is(read.weight.rows, 7);
    const manifest = parseExpertManifest(await readFile(join(folder, "expert.json"), "utf8"), "expert.json");
    t.is(manifest.labels.length, 7);
  });
});

test("made-up LoRA models lie in a folder each", async (t) => {
  await withFolder(async (folder) => {
    await writeLoraModels(folder, { count: 3, module: "m", rows: 4, columns: 6, rank: 2 });
    t.deepEqual((await readdir(folder)).sort(), ["model_000000", "model_000001", "model_000002"]);
    const files = await readdir(join(folder, "model_000001"));
    t.deepEqual(files, ["pytorch_lora_weights.safetensors"]);
  });
});
