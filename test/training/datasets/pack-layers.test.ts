import { mkdir, readdir, readFile, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import type { LayerRule } from "../../../src/training/datasets/describe-layer.js";
import { openPackedLayers } from "../../../src/training/datasets/open-packed-layers.js";
import { packLayers } from "../../../src/training/datasets/pack-layers.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../../src/weights/safetensors-writer.js";
import { randomValues } from "../../helpers/random.js";
import { createTemporaryFolder, type Teardown } from "../../helpers/temporary-folder.js";

const dense: LayerRule = { module: "a", kind: "dense", layout: "linear", loraScale: "none" };
const lora: LayerRule = { module: "b", kind: "lora", layout: "linear", loraScale: "apply" };

function tensor(name: string, shape: readonly number[], values: Float32Array): TensorData {
  return { name, dtype: "F32", shape, bytes: float32Bytes(values) };
}

/** A dense layer a of 4 × 3, and LoRA factors b of 4 × rank and rank × 5 with an alpha of twice the rank. */
function createModel(seed: number, rank = 2): TensorData[] {
  return [
    tensor("a.weight", [4, 3], randomValues(12, seed)),
    tensor("b.lora_down.weight", [rank, 5], randomValues(rank * 5, seed + 1)),
    tensor("b.lora_up.weight", [4, rank], randomValues(4 * rank, seed + 2)),
    tensor("b.alpha", [], Float32Array.of(2 * rank)),
  ];
}

async function writeModels(t: Teardown, models: readonly (TensorData[] | string)[]) {
  const folder = await createTemporaryFolder(t);
  await mkdir(join(folder, "models"));
  const locations = models.map((_, index) => join(folder, "models", `${index}.safetensors`));
  for (const [index, model] of models.entries()) {
    await writeFile(locations[index] as string, typeof model === "string" ? model : encodeSafetensors(model));
  }
  return { folder: join(folder, "packed"), locations };
}

test("packed layers are those of the files, the scale of LoRA layers applied", async (t) => {
  const { folder, locations } = await writeModels(t, [createModel(1), createModel(5, 3), createModel(9)]);
  const seen: number[] = [];
  const packs = await packLayers(locations, [dense, lora], { folder, onProgress: (done) => seen.push(done) });
  t.deepEqual(seen, [1, 2, 3]);
  const [a, b] = await Promise.all(packs.map(openPackedLayers));
  t.deepEqual(a?.layers.layer, { rows: 4, columns: 3 });
  const x = (await a?.layers.read([2, 0]))?.get("X");
  t.deepEqual(x, Float32Array.of(...randomValues(12, 9), ...randomValues(12, 1)));
  t.deepEqual(b?.layers.layer, { rows: 4, columns: 5, rank: 3 });
  const inputs = await b?.layers.read([0]);
  // Rank 2 of 3: the last rows are zeros. alpha / rank is 2.
  t.deepEqual(inputs?.get("down"), Float32Array.of(...randomValues(10, 2), 0, 0, 0, 0, 0));
  const up = randomValues(8, 3);
  const turned = [0, 2, 4, 6, 1, 3, 5, 7].map((index) => 2 * (up[index] as number));
  t.deepEqual(inputs?.get("up"), Float32Array.of(...turned, 0, 0, 0, 0));
  await Promise.all([a?.close(), b?.close()]);
});

test("what cannot be packed is named with its reason, and the rest is packed", async (t) => {
  const bad = createModel(3);
  const { folder, locations } = await writeModels(t, [
    createModel(1),
    "not a model",
    [tensor("c.weight", [4, 3], randomValues(12, 2))],
    [tensor("a.weight", [4, 4], randomValues(16, 2))],
    [tensor("a.weight", [4, 3], randomValues(12, 2).fill(Number.NaN, 7, 8))],
    [tensor("a.weight", [4, 3], new Float32Array(12).fill(0.5))],
    bad,
  ]);
  const [pack] = await packLayers([...locations, join(folder, "absent.safetensors")], [dense], { folder });
  const opened = await openPackedLayers(pack as NonNullable<typeof pack>);
  t.deepEqual(opened.kept, [0, 6]);
  t.deepEqual(
    opened.refused.map(({ index }) => index),
    [1, 2, 3, 4, 5, 7],
  );
  const reasons = opened.refused.map(({ reason }) => reason);
  for (const [index, pattern] of [
    /safetensors|header/i,
    /no tensor "a"/,
    /4 × 4, that of most models 4 × 3/,
    /NaN at row 2, column 1/,
    /all numbers of the layer "a" are 0.5/,
    /no file/,
  ].entries()) {
    t.regex(reasons[index] ?? "", pattern);
  }
  await opened.close();
});

test("where no model has the layer, the first reason is given", async (t) => {
  const { folder, locations } = await writeModels(t, ["not a model", createModel(1)]);
  const [pack] = await packLayers(locations, [{ ...dense, module: "z" }], { folder });
  await t.throwsAsync(openPackedLayers(pack as NonNullable<typeof pack>), {
    instanceOf: InvalidInputError,
    message: /none of the 2 models has a layer "z".*of the first/,
  });
});

test("what is packed already is not read again, unless its file has changed", async (t) => {
  const { folder, locations } = await writeModels(t, [createModel(1), createModel(5)]);
  const pack = async () => {
    const [packed] = await packLayers(locations, [dense], { folder });
    const opened = await openPackedLayers(packed as NonNullable<typeof packed>);
    const x = (await opened.layers.read([0, 1])).get("X");
    await opened.close();
    return x;
  };
  // Whole seconds, which can be set again.
  const time = new Date("2026-01-01T00:00:00Z");
  for (const location of locations) await utimes(location, time, time);
  const before = await pack();
  // The same size and time, other numbers: whoever read the file would see them.
  const [first = "", second = ""] = locations;
  await writeFile(first, encodeSafetensors(createModel(33)));
  await utimes(first, time, time);
  t.deepEqual(await pack(), before);
  await utimes(first, time, new Date(time.getTime() + 1000));
  t.deepEqual((await pack())?.subarray(0, 12), randomValues(12, 33));
  // A packed file that was cut off is made again.
  const [numbers = ""] = (await readdir(folder)).filter((name) => name.endsWith(".f32"));
  await truncate(join(folder, numbers), 10);
  t.deepEqual((await pack())?.subarray(12), randomValues(12, 5));
  t.true((await readFile(second)).length > 0);
});
