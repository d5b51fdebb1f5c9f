import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Random } from "../../../src/linalg/random.js";
import { toExcessKurtosis } from "../../../src/trees/heritage/kurtosis.js";
import { LayerCollector, MAX_SAMPLE_SIDE } from "../../../src/trees/heritage/layer-statistics.js";
import { readLayerStatistics } from "../../../src/trees/heritage/read-layer-statistics.js";
import { type ModelFile, openModel } from "../../../src/weights/model-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../../src/weights/safetensors-writer.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

async function open(t: ExecutionContext, tensors: readonly TensorData[]): Promise<ModelFile> {
  const path = join(await createTemporaryFolder(t), "model.safetensors");
  await writeFile(path, encodeSafetensors(tensors));
  const model = await openModel(path);
  t.teardown(() => model.close());
  return model;
}

function toTensor(name: string, shape: readonly number[], values: Float32Array): TensorData {
  return { name, dtype: "F32", shape, bytes: float32Bytes(values) };
}

test("every float matrix is read, as its first extent by the others", async (t) => {
  const random = new Random(1);
  // 2.4 MB: three pieces.
  const large = random.spread(300 * 2000, 1).map((value) => value ** 3 + 0.1);
  const small = random.spread(3 * 2 * 5, 1);
  const model = await open(t, [
    toTensor("large", [300, 2000], large),
    toTensor("small", [3, 2, 5], small),
    toTensor("bias", [4], Float32Array.of(1, 2, 3, 4)),
    { name: "ids", dtype: "I64", shape: [2, 2], bytes: new Uint8Array(32) },
  ]);
  const layers = new Map((await readLayerStatistics(model)).map((layer) => [layer.name, layer]));
  t.deepEqual([...layers.keys()].sort(), ["large", "small"]);
  t.like(layers.get("small"), { rows: 3, columns: 10, sample: { rows: 3, columns: 10, values: small } });
  const found = layers.get("large");
  t.true(Math.abs((found?.kurtosis ?? Number.NaN) - toExcessKurtosis([large])) < 1e-9);
  const squares = large.reduce((sum, value) => sum + value * value, 0);
  t.true(Math.abs((found?.squareSum ?? Number.NaN) / squares - 1) < 1e-6);
  const side = MAX_SAMPLE_SIDE;
  t.like(found?.sample, { rows: side, columns: side });
  for (const [row, column] of [
    [0, 0],
    [1, 63],
    [40, 17],
    [63, 63],
  ] as const) {
    const at = Math.floor((row * 300) / side) * 2000 + Math.floor((column * 2000) / side);
    t.is(found?.sample.values[row * side + column], large[at]);
  }
});

test("bfloat16 is widened, 8-bit weights are multiplied by their scale", async (t) => {
  const model = await open(t, [
    { name: "a.weight", dtype: "F8_E4M3", shape: [2, 2], bytes: Uint8Array.of(0x38, 0x40, 0xb8, 0x30) },
    toTensor("a.weight_scale", [1, 1], Float32Array.of(4)),
    { name: "b.weight", dtype: "BF16", shape: [2, 1], bytes: Uint8Array.of(0x80, 0x3f, 0x00, 0xc0) },
  ]);
  const layers = await readLayerStatistics(model);
  const samples = new Map(layers.map(({ name, sample }) => [name, [...sample.values]]));
  t.deepEqual(samples.get("a.weight"), [4, 8, -4, 2]);
  t.deepEqual(samples.get("b.weight"), [1, -2]);
});

test("a sample is the same however a layer is cut", (t) => {
  const values = new Random(2).spread(150 * 90, 1);
  const collect = (length: number) => {
    const collector = new LayerCollector({ name: "x", rows: 150, columns: 90 });
    for (let at = 0; at < values.length; at += length) collector.add(values.subarray(at, at + length));
    return collector.finish().sample;
  };
  for (const length of [1, 7, 91, 4096]) t.deepEqual(collect(length), collect(values.length));
});

test("weights that are not finite are refused with their tensor, and reading stops when asked", async (t) => {
  const model = await open(t, [toTensor("x", [2, 2], Float32Array.of(1, 2, Number.POSITIVE_INFINITY, 4))]);
  await assertRefused(t, () => readLayerStatistics(model), {
    kind: "invalid-input",
    reason: "NON_FINITE",
    message: /Tensor "x" of .* holds NaN or infinity/,
  });
  const stopped = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(readLayerStatistics(model, stopped), { message: "enough" });
});

test("a collector keeps nothing of what it takes in but its sample", (t) => {
  const collector = new LayerCollector({ name: "x", rows: 16_384, columns: 4096 });
  const piece = new Random(3).spread(262_144, 1);
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < 16; at++) collector.add(piece);
  t.true(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});
