import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { Random } from "../../../src/linalg/random.js";
import { chooseTreeLayers } from "../../../src/trees/discovery/choose-tree-layers.js";
import { createPlainSketch } from "../../../src/trees/sketches/sketch.js";
import { type ModelSketch, type SketchOptions, sketchModel } from "../../../src/trees/sketches/sketch-model.js";
import { openModel } from "../../../src/weights/model-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

async function sketchOf(
  t: ExecutionContext,
  tensors: readonly TensorData[],
  options: SketchOptions = { blocks: 128 },
): Promise<ModelSketch> {
  const file = join(await createTemporaryFolder(t), "model.safetensors");
  await writeFile(file, encodeSafetensors(tensors));
  const model = await openModel(file);
  try {
    return await sketchModel(model, chooseTreeLayers(model.tensors), options);
  } finally {
    await model.close();
  }
}

function toTensor(name: string, shape: readonly number[], values: Float32Array): TensorData {
  return { name, dtype: "F32", shape, bytes: float32Bytes(values) };
}

function toLora(down: Float32Array, up: Float32Array, rank: number): TensorData[] {
  return [
    toTensor("m.lora.down.weight", [rank, down.length / rank], down),
    toTensor("m.lora.up.weight", [up.length / rank, rank], up),
  ];
}

function product(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, at) => sum + value * (b[at] as number), 0);
}

test("a dense layer of several blocks is sketched as a whole one is, and its rows are seen once", async (t) => {
  const [rowCount, columnCount] = [700, 512];
  const values = new Random(1).spread(rowCount * columnCount, 1);
  const whole = createPlainSketch({ rowCount, columnCount });
  whole.add({ bytes: new Uint8Array(values.buffer), dtype: "F32", rowBegin: 0, rowCount });
  let seen = 0;
  const onRows = (rows: { readonly rowBegin: number; readonly rowCount: number }): void => {
    t.is(rows.rowBegin, seen);
    seen += rows.rowCount;
  };
  const sketch = await sketchOf(t, [toTensor("a.weight", [rowCount, columnCount], values)], { blocks: 128, onRows });
  t.true(sketch.values.every((value, at) => Math.abs(value - (whole.values[at] as number)) < 1e-5));
  t.is(seen, rowCount);
  t.is(sketch.bytes, 4 * values.length);
});

test("a number that is not finite is named with its place", async (t) => {
  const values = new Float32Array(20 * 10).fill(1);
  values[57] = Number.NaN;
  await t.throwsAsync(sketchOf(t, [toTensor("a.weight", [20, 10], values)]), {
    instanceOf: InvalidInputError,
    message: /"a\.weight" has NaN at row 5, column 7/,
  });
});

/** ⟨second moments of x, those of y⟩, written out. */
function toMomentProduct(
  [a, b]: readonly [Float32Array, Float32Array],
  [c, d]: readonly [Float32Array, Float32Array],
  rank: number,
) {
  const [out, width] = [b.length / rank, a.length / rank];
  const multiply = (down: Float32Array, up: Float32Array): number[][] =>
    Array.from({ length: out }, (_, i) =>
      Array.from({ length: width }, (_, j) => {
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += (up[i * rank + k] ?? 0) * (down[k * width + j] ?? 0);
        return sum;
      }),
    );
  const [x, y] = [multiply(a, b), multiply(c, d)];
  const turn = (matrix: number[][]): number[][] =>
    Array.from({ length: width }, (_, j) => matrix.map((row) => row[j] ?? 0));
  // ⟨X·Xᵀ, Y·Yᵀ⟩ is the sum of squares of Xᵀ·Y.
  const overlap = (p: number[][], q: number[][]): number =>
    p.reduce((sum, row) => sum + q.reduce((part, other) => part + product(row, other) ** 2, 0), 0);
  const norm = (matrix: number[][]): number => matrix.reduce((sum, row) => sum + product(row, row), 0);
  return (overlap(turn(x), turn(y)) + overlap(x, y)) / (norm(x) * norm(y));
}

test("sketches of LoRAs have the inner products of their second moments", async (t) => {
  const [rank, out, width] = [3, 90, 70];
  const random = new Random(2);
  const factors = (): [Float32Array, Float32Array] => [random.spread(rank * width, 1), random.spread(out * rank, 1)];
  const [x, y] = [factors(), factors()];
  // Something in common.
  y[1].set(x[1].subarray(0, 150));
  const [a, b] = [await sketchOf(t, toLora(...x, rank)), await sketchOf(t, toLora(...y, rank))];
  const [own, shared] = [toMomentProduct(x, x, rank), toMomentProduct(x, y, rank)];
  t.true(Math.abs(product(a.values, a.values) - own) < 0.2 * own);
  t.true(Math.abs(product(a.values, b.values) - shared) < 0.08 * own);
  t.true(shared > 0.1 * own);
});

test("neither scale nor sign nor a turned basis changes the sketch of a LoRA", async (t) => {
  const [down, up] = [new Random(3).spread(2 * 40, 1), new Random(4).spread(30 * 2, 1)];
  const one = await sketchOf(t, toLora(down, up, 2));
  // The rows of A and the columns of B in the other order, one pair with the opposite sign, all ten times as large.
  const turned = Float32Array.from(down, (_, at) => (down[(at + 40) % 80] ?? 0) * (at < 40 ? -10 : 10));
  const other = up.map((_, at) => (up[at % 2 === 0 ? at + 1 : at - 1] ?? 0) * (at % 2 === 0 ? -1 : 1));
  const found = await sketchOf(t, toLora(turned, other, 2));
  const error = found.values.map((value, at) => value - (one.values[at] ?? 0));
  t.true(product(error, error) < 1e-10 * product(one.values, one.values));
});

test("a LoRA that changes nothing is refused", async (t) => {
  const lora = toLora(new Random(5).spread(80, 1), new Float32Array(60), 2);
  await t.throwsAsync(sketchOf(t, lora), { instanceOf: InvalidInputError, message: /changes nothing/ });
});
