import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { copies, writeCopy } from "../../../bench/copies.js";
import { toFloat16Bytes } from "../../../scripts/demo-zoo/float16.js";
import { Random } from "../../../src/linalg/random.js";
import { compareFactors } from "../../../src/trees/identity/compare-factors.js";
import { compareWeights, type Likeness } from "../../../src/trees/identity/compare-weights.js";
import { type ModelFile, openModel } from "../../../src/weights/model-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { writeSiblings } from "./siblings.js";

async function openAll(t: ExecutionContext, locations: readonly string[]): Promise<ModelFile[]> {
  const models = await Promise.all(locations.map((location) => openModel(location)));
  t.teardown(async () => {
    await Promise.all(models.map((model) => model.close()));
  });
  return models;
}

async function compare(a: ModelFile, b: ModelFile): Promise<Likeness | undefined> {
  return (await compareWeights([a, b])) ?? (await compareFactors([a, b]));
}

for (const tree of ["dense", "loras"] as const) {
  test(`no pair of 16 fine-tunes of one base is the same when read in full (${tree})`, async (t) => {
    const folder = await createTemporaryFolder(t);
    const models = await openAll(t, await writeSiblings(folder, tree, 16));
    let pairs = 0;
    for (const [at, a] of models.entries()) {
      for (const b of models.slice(at + 1)) {
        pairs++;
        if ((await compare(a, b)) !== undefined) t.fail(`${a.location} ${b.location}`);
      }
    }
    t.is(pairs, 120);
  });
}

test("copies of fine-tunes are the same as their own models only", async (t) => {
  const folder = await createTemporaryFolder(t);
  const locations = await writeSiblings(folder, "dense", 2);
  const siblings = await openAll(t, locations);
  const kinds = copies.filter(({ kind, expected }) => kind !== "lora" && ["dtype", "near"].includes(expected ?? ""));
  for (const [which, copy] of kinds.entries()) {
    const made = await openAll(
      t,
      await Promise.all(
        locations.map((file, at) => writeCopy(copy, file, join(folder, `${which}-${at}.safetensors`), at)),
      ),
    );
    for (const [i, model] of siblings.entries()) {
      for (const [j, other] of made.entries()) {
        const found = [await compare(model, other), await compare(other, model)].map((likeness) => likeness?.kind);
        t.deepEqual(
          found,
          i === j ? [copy.expected, copy.expected] : [undefined, undefined],
          `${copy.title} ${i} ${j}`,
        );
      }
    }
  }
});

const width = 64;

function toTensor(name: string, values: Float32Array, shape: readonly number[] = [width, width]): TensorData {
  return { name, dtype: "F32", shape, bytes: float32Bytes(values) };
}

function toEightBits(values: Float32Array): Float32Array {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return values.map((value) => (Math.round((127 * value) / largest) * largest) / 127);
}

async function compareTensors(
  t: ExecutionContext,
  a: readonly TensorData[],
  b: readonly TensorData[],
): Promise<string | undefined> {
  const folder = await createTemporaryFolder(t);
  const files = await Promise.all(
    [a, b].map(async (tensors, at) => {
      const file = join(folder, `${at}.safetensors`);
      await writeFile(file, encodeSafetensors(tensors));
      return file;
    }),
  );
  const [first, second] = await openAll(t, files);
  if (first === undefined || second === undefined) throw new Error("no models");
  return (await compareWeights([first, second]))?.kind;
}

/** A fine-tune of the weights, moved by so many times their deviation of 1. */
function tune(values: Float32Array, change: number, seed = 7): Float32Array {
  const moved = new Random(seed).spread(values.length, change);
  return values.map((value, at) => value + (moved[at] as number));
}

test("a fine-tune of a quantised model is no copy of it, though it keeps within its steps", async (t) => {
  const base = new Random(1).spread(width * width, 1);
  const quantised = toEightBits(base);
  t.is(await compareTensors(t, [toTensor("w", base)], [toTensor("w", quantised)]), "near");
  for (const change of [0.0003, 0.001, 0.003, 0.01]) {
    t.is(await compareTensors(t, [toTensor("w", tune(quantised, change))], [toTensor("w", quantised)]), undefined);
    t.is(await compareTensors(t, [toTensor("w", tune(base, change))], [toTensor("w", base)]), undefined);
    t.is(
      await compareTensors(t, [toTensor("w", tune(base, Math.max(change, 0.001)))], [toTensor("w", quantised)]),
      undefined,
    );
  }
  // A first step of Adam moves every weight by the rate, up or down.
  const stepped = quantised.map((value, at) => value + (at % 3 === 0 ? 0.01 : -0.01));
  t.is(await compareTensors(t, [toTensor("w", stepped)], [toTensor("w", quantised)]), undefined);
});

test("a fine-tune that changes one small tensor, or sets one from 0, is no copy", async (t) => {
  const base = toTensor("w", new Random(1).spread(width * width, 1));
  const ones = new Float32Array(width).fill(1);
  const norm = (values: Float32Array): TensorData => toTensor("norm", values, [width]);
  t.is(await compareTensors(t, [base, norm(ones)], [base, norm(tune(ones, 0.01))]), undefined);
  t.is(await compareTensors(t, [base, norm(new Float32Array(width))], [base, norm(ones)]), undefined);
  // Rows of new tokens, 0 before they were trained.
  const rows = new Random(2).spread(width * width, 1);
  const empty = rows.map((value, at) => (at < 3 * width ? 0 : value));
  t.is(await compareTensors(t, [base, toTensor("e", rows)], [base, toTensor("e", empty)]), undefined);
});

test("roundings of the same numbers to two types are the same", async (t) => {
  const values = new Random(3).spread(width * width, 1);
  const [half, brain] = ["float16", "bfloat16"].map((title) => toBytes(values, title));
  if (half === undefined || brain === undefined) throw new Error("no types");
  t.is(await compareTensors(t, [half], [brain]), "dtype");
  const other = toBytes(tune(values, 0.003), "bfloat16");
  t.is(await compareTensors(t, [half], [other]), undefined);
});

function toBytes(values: Float32Array, title: string): TensorData {
  const words = new Uint32Array(values.slice().buffer);
  const brain = Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
  return title === "bfloat16"
    ? { name: "w", dtype: "BF16", shape: [width, width], bytes: new Uint8Array(brain.buffer) }
    : { name: "w", dtype: "F16", shape: [width, width], bytes: toFloat16Bytes(values) };
}
