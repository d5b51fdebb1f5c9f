import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { decode } from "fast-png";
import { fineTune } from "../../scripts/demo-zoo/fine-tune.js";
import { toFloat16Bytes } from "../../scripts/demo-zoo/float16.js";
import { readAncestor, toTreeShapes } from "../../scripts/demo-zoo/make-tree.js";
import { readPackedTree, toModelFile, unpackTree } from "../../scripts/demo-zoo/packed-tree.js";
import { type PlannedTree, planDense, planLoras } from "../../scripts/demo-zoo/plan.js";
import { drawSheet } from "../../scripts/demo-zoo/thumbnails.js";
import { widen } from "../../src/linalg/widen.js";
import { scanDataset } from "../../src/training/datasets/scan-dataset.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const demo = fileURLToPath(new URL("../../../demo", import.meta.url));

/** Models that are made anew: those of one stack that need the fewest steps. */
const rebuilt = 3;

async function rebuild(tree: PlannedTree): Promise<{ readonly name: string; readonly error: number }[]> {
  const packed = await readPackedTree(join(demo, `${tree.name}.safetensors`));
  const ancestor = await readAncestor(tree, demo);
  const [stack] = [...tree.stacks].sort((a, b) => a.settings.steps - b.settings.steps);
  const planned = stack?.models.slice(0, rebuilt) ?? [];
  const settings = stack?.settings ?? { steps: 0, learningRate: 0 };
  const made = await fineTune(ancestor, planned, { ...settings, threads: 1 });
  return planned.flatMap(({ path }, place) => {
    const index = packed.models.findIndex((model) => model.path === path);
    return [...toTreeShapes(tree).keys()].map((name) => {
      const { bytes = new Uint8Array(0), shape = [] } = packed.tensors.get(name) ?? {};
      const size = bytes.byteLength / (shape[0] ?? 1);
      const shipped = new Float32Array(size / 2);
      widen(bytes.slice(index * size, (index + 1) * size), "F16", shipped);
      const own = made[place]?.get(name) ?? new Float32Array(0);
      let [difference, norm] = [0, 0];
      for (const [i, value] of shipped.entries()) {
        difference += (value - (own[i] as number)) ** 2;
        norm += value ** 2;
      }
      return { name: `${path} ${name}`, error: Math.sqrt(difference / norm) };
    });
  });
}

// Another processor rounds otherwise, and training carries that on; another seed gives errors above 1.
for (const tree of [planLoras(), planDense()]) {
  test(`models of the tree "${tree.name}" that are made anew are those that are shipped`, async (t) => {
    const errors = await rebuild(tree);
    t.true(errors.length >= 2 * rebuilt);
    for (const { name, error } of errors) t.true(error < 0.02, `${name}: ${error}`);
  });
}

test("the shipped trees are as they are planned, and small", async (t) => {
  let bytes = 0;
  for (const tree of [planLoras(), planDense()]) {
    const file = join(demo, `${tree.name}.safetensors`);
    const { models } = await readPackedTree(file);
    const planned = tree.stacks.flatMap((stack) => stack.models);
    t.deepEqual(
      models,
      planned.map(({ path, split, metadata }) => ({ path, split, metadata })),
    );
    const [packed, sheet] = [await readFile(file), await readFile(join(demo, `${tree.name}.png`))];
    t.true(sheet.equals(drawSheet(planned)), tree.name);
    t.is(decode(sheet).width, 48 * 16);
    bytes += packed.byteLength + sheet.byteLength;
  }
  t.true(bytes < 11 * 1024 ** 2, `${bytes}`);
});

test("of every word of a concept that is held out some training model has seen one", (t) => {
  const models = planLoras().stacks.flatMap((stack) => stack.models);
  const words = (split: string) =>
    new Set(
      models.filter((model) => model.split === split).flatMap(({ metadata }) => metadata["concept"]?.split(" ") ?? []),
    );
  const concepts = (split: string) =>
    new Set(models.filter((model) => model.split === split).map(({ metadata }) => metadata["concept"]));
  t.is(concepts("test_holdout").size, 30);
  for (const split of ["val_holdout", "test_holdout"]) {
    t.true([...words(split)].every((word) => words("train").has(word)));
    t.false([...concepts(split)].some((concept) => concepts("train").has(concept)));
  }
});

test("a tree unpacks into files as people have them", async (t) => {
  const folder = await createTemporaryFolder(t);
  const packed = join(demo, "loras.safetensors");
  t.is(await unpackTree(packed, folder, ["test_holdout"]), 180);
  const dataset = await scanDataset(folder, { labelKey: "concept" });
  t.is(dataset.models.length, 180);
  t.is(dataset.splitSource, "files");
  const [model] = dataset.models;
  const { tensors, metadata } = await readTensors(model?.location ?? "");
  t.deepEqual(tensors.get("denoiser.blocks.1.attn.to_q.lora.down.weight")?.shape, [2, 64]);
  t.is(metadata.get("concept"), model?.labels[0]);
  const tree = await readPackedTree(packed);
  const index = tree.models.findIndex(({ path }) => path === model?.path);
  t.true((await readFile(model?.location ?? "")).equals(toModelFile(tree, index)));
});

test("every float16 number comes back from float32 as it was, and others are rounded to the nearest", (t) => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
  const values = new Float32Array(halves.length);
  widen(new Uint8Array(halves.buffer), "F16", values);
  const back = new Uint16Array(toFloat16Bytes(values).buffer);
  const changed = halves.filter((bits) => !Number.isNaN(values[bits]) && back[bits] !== bits);
  t.deepEqual([...changed], []);
  // Half way between 1 and the next number, to even; and just above.
  t.deepEqual(
    [
      ...new Uint16Array(
        toFloat16Bytes(Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20)).buffer,
      ),
    ],
    [0x3c00, 0x3c02, 0x3c01],
  );
  t.deepEqual(
    [...new Uint16Array(toFloat16Bytes(Float32Array.of(65_519, 65_520, -1e9)).buffer)],
    [0x7bff, 0x7c00, 0xfc00],
  );
});
