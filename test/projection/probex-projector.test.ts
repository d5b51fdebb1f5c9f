import test from "ava";
import { createOnnxBackend } from "../../src/compute/backends/onnx.js";
import { createPlainBackend } from "../../src/compute/backends/plain.js";
import { createWasmBackend } from "../../src/compute/backends/wasm.js";
import type { ComputeBackend } from "../../src/compute/compute-backend.js";
import type { BackendName } from "../../src/compute/create-backend.js";
import { type Dtype, dtypeBytes } from "../../src/linalg/dtype.js";
import { createProbexProjector } from "../../src/projection/probex-projector.js";
import type { LayerSpec } from "../../src/weights/layer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { decode, randomNumbers } from "../helpers/decode.js";
import { type ExactMatrix, exactResponses, multiply, relativeError, turned } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";
import { type StoredTensor, storedMatrix, streamLayer, toBits, toLayerMatrices } from "../helpers/stored-layer.js";

/** Those that run anywhere; what a GPU is held to is in its own suite. */
type CpuBackendName = Exclude<BackendName, "gpu" | "onnx-cuda" | "onnx-webgpu">;

const backends = {
  plain: async () => createPlainBackend(),
  onnx: () => createOnnxBackend(),
  wasm: () => createWasmBackend(),
} satisfies Record<CpuBackendName, () => Promise<ComputeBackend>>;

/** A layer as it is stored, and the X that it stands for. */
interface LayerCase {
  readonly layer: Pick<LayerSpec, "kind" | "layout">;
  readonly tensors: readonly StoredTensor[];
  readonly x: ExactMatrix;
}

const dense = { kind: "dense", layout: "linear" } as const;
const lora = { kind: "lora", layout: "linear" } as const;
const transposed = { kind: "dense", layout: "transposed" } as const;

function createTensor(
  role: StoredTensor["role"],
  rows: number,
  columns: number,
  dtype: Dtype,
  rest: Partial<StoredTensor["matrix"]> = {},
): StoredTensor & { readonly exact: ExactMatrix } {
  const bytes = randomNumbers(rows * columns, dtype, rows + columns);
  const matrix = storedMatrix(rows, columns, dtype, { name: `m.${role}`, ...rest });
  return { role, matrix, bytes, exact: { rows, columns, values: decode(bytes, dtype) } };
}

function scaled({ rows, columns, values }: ExactMatrix, factor: (row: number) => number): ExactMatrix {
  return { rows, columns, values: values.map((value, i) => value * factor(Math.floor(i / columns))) };
}

function linear(rows: number, columns: number, dtype: Dtype): LayerCase {
  const weight = createTensor("weight", rows, columns, dtype);
  return { layer: dense, tensors: [weight], x: weight.exact };
}

function fp8(rows: number, columns: number, perRow: boolean): LayerCase {
  const scale = createTensor("weight-scale", perRow ? rows : 1, 1, perRow ? "F32" : "BF16");
  const weight = createTensor("weight", rows, columns, "F8_E4M3");
  const factor = (row: number): number => scale.exact.values[perRow ? row : 0] ?? 0;
  return { layer: dense, tensors: [scale, weight], x: scaled(weight.exact, factor) };
}

function loraLayer(rank: number, alpha: number | undefined): LayerCase {
  const down = createTensor("lora-down", rank, 41, "F16");
  const up = createTensor("lora-up", 23, rank, "BF16");
  const bytes = new Uint8Array(Float32Array.of(alpha ?? 0).buffer);
  const alphaTensor = { role: "lora-alpha", matrix: storedMatrix(1, 1, "F32"), bytes } as const;
  const product = multiply(up.exact, down.exact);
  return alpha === undefined
    ? { layer: lora, tensors: [down, up], x: product }
    : { layer: lora, tensors: [alphaTensor, down, up], x: scaled(product, () => alpha / rank) };
}

function transposedSlice(begin: number, end: number, columns: number): LayerCase {
  const weight = createTensor("weight", 41, columns, "F32", { columns: { begin, end } });
  const all = turned(weight.exact);
  const values = all.values.subarray(begin * 41, end * 41);
  return { layer: transposed, tensors: [weight], x: { rows: end - begin, columns: 41, values } };
}

const cases: Readonly<Record<string, LayerCase>> = {
  "a linear F32 layer": linear(23, 41, "F32"),
  "a linear F16 layer": linear(300, 71, "F16"),
  "a linear BF16 layer": linear(23, 41, "BF16"),
  "a linear F64 layer": linear(23, 41, "F64"),
  "a layer of one row": linear(1, 41, "F32"),
  "a vector": linear(37, 1, "F32"),
  "a transposed layer": transposedSlice(0, 23, 23),
  "a slice of a transposed layer": transposedSlice(6, 29, 69),
  "an FP8 layer without a scale": linear(23, 41, "F8_E5M2"),
  "an FP8 layer with one scale": fp8(23, 41, false),
  "an FP8 layer with a scale per row": fp8(23, 41, true),
  "a LoRA layer without alpha": loraLayer(4, undefined),
  "a LoRA layer with alpha of its rank": loraLayer(4, 4),
  "a LoRA layer with alpha above its rank": loraLayer(4, 10),
  "a LoRA layer of rank 1": loraLayer(1, 0.5),
};

for (const name of Object.keys(backends) as CpuBackendName[]) {
  for (const [title, { layer, tensors, x }] of Object.entries(cases)) {
    test(`${name} projects ${title} within 1e-5 of float64, at any chunk size`, async (t) => {
      const backend = await backends[name]();
      t.teardown(() => backend.dispose());
      const probes = { u: randomMatrix(x.columns, 6, 51), v: randomMatrix(7, x.rows, 52) };
      const expected = exactResponses(probes.v, x, probes.u);
      t.true(expected.some((value) => value > 0) && expected.some((value) => value === 0));
      const projector = await createProbexProjector(backend, layer, {
        u: { ...probes.u, values: probes.u.values.slice() },
        v: { ...probes.v, values: probes.v.values.slice() },
      });
      const matrices = toLayerMatrices(tensors);
      for (const size of [1, 7, 4096, 1 << 20]) {
        const accumulator = projector.open(matrices);
        await streamLayer(accumulator, tensors, size);
        const error = relativeError(await accumulator.finish(), expected);
        t.true(error <= 1e-5, `chunks of ${size}: ${error}`);
        await accumulator.dispose();
      }
      await projector.dispose();
    });

    test(`${name} goes on from the state of ${title} between two of its tensors`, async (t) => {
      const backend = await backends[name]();
      t.teardown(() => backend.dispose());
      const probes = { u: randomMatrix(x.columns, 6, 51), v: randomMatrix(7, x.rows, 52) };
      const projector = await createProbexProjector(backend, layer, probes);
      const matrices = toLayerMatrices(tensors);
      const whole = projector.open(matrices);
      await streamLayer(whole, tensors, 1 << 20);
      for (let done = 0; done <= tensors.length; done++) {
        const first = projector.open(matrices);
        await streamLayer(first, tensors.slice(0, done), 1 << 20);
        const saved = await first.state();
        const bits = toBits(saved);
        const second = projector.open(matrices);
        await second.restore(saved);
        await streamLayer(second, tensors.slice(done), 1 << 20);
        t.deepEqual(toBits(saved), bits, "what was restored from is not written to");
        t.deepEqual(toBits(await second.state()), toBits(await whole.state()));
        t.true(relativeError(await second.finish(), await whole.finish()) < 1e-7);
      }
    });
  }

  for (const [title, layer, matrix, at, position] of [
    ["a linear layer", dense, storedMatrix(9, 11, "F32"), [5, 3], [5, 3]],
    ["a slice of a linear layer", dense, storedMatrix(9, 11, "F32", { firstRow: 30 }), [5, 3], [35, 3]],
    ["a transposed layer", transposed, storedMatrix(11, 9, "F32"), [10, 8], [10, 8]],
    [
      "a slice of a transposed layer",
      transposed,
      storedMatrix(11, 27, "F32", { columns: { begin: 9, end: 18 } }),
      [7, 12],
      [7, 12],
    ],
    ["a linear F16 layer", dense, storedMatrix(9, 11, "F16"), [0, 0], [0, 0]],
    ["a linear BF16 layer", dense, storedMatrix(9, 11, "BF16"), [8, 10], [8, 10]],
  ] as const) {
    test(`${name} says where ${title} is not finite`, async (t) => {
      const backend = await backends[name]();
      t.teardown(() => backend.dispose());
      const probes = { u: randomMatrix(11, 2, 1), v: randomMatrix(2, 9, 2) };
      const projector = await createProbexProjector(backend, layer, probes);
      const { dtype, columnCount } = matrix;
      for (const [value, bits] of [
        ["NaN", { F32: 0x7fc00000, F16: 0x7e00, BF16: 0x7fc0 }],
        ["Infinity", { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 }],
        ["-Infinity", { F32: 0xff800000, F16: 0xfc00, BF16: 0xff80 }],
      ] as const) {
        const bytes = randomNumbers(matrix.rowCount * columnCount, dtype, 3);
        const offset = (at[0] * columnCount + at[1]) * dtypeBytes[dtype];
        const view = new DataView(bytes.buffer);
        if (dtype === "F32") view.setUint32(offset, bits.F32, true);
        else view.setUint16(offset, bits[dtype as "F16" | "BF16"], true);
        const accumulator = projector.open({ weight: matrix });
        const [row, column] = position;
        await assertRefused(t, () => streamLayer(accumulator, [{ role: "weight", matrix, bytes }], 1000), {
          kind: "invalid-input",
          reason: "NON_FINITE",
          message: `tensor "m.weight" has ${value} at row ${row}, column ${column}; weights must be finite float32 numbers`,
          facts: { tensor: "m.weight", row, column, value },
        });
      }
    });
  }

  test(`${name} passes over what is not finite outside the slice that is read`, async (t) => {
    const backend = await backends[name]();
    t.teardown(() => backend.dispose());
    const probes = { u: randomMatrix(5, 2, 1), v: randomMatrix(2, 3, 2) };
    const projector = await createProbexProjector(backend, transposed, probes);
    const matrix = storedMatrix(5, 9, "F32", { columns: { begin: 3, end: 6 } });
    const values = new Float32Array(45).fill(Number.NaN);
    for (let row = 0; row < 5; row++) values.fill(1, row * 9 + 3, row * 9 + 6);
    const accumulator = projector.open({ weight: matrix });
    await streamLayer(accumulator, [{ role: "weight", matrix, bytes: new Uint8Array(values.buffer) }], 4);
    t.true((await accumulator.finish()).every(Number.isFinite));
  });

  for (const role of ["weight-scale", "lora-alpha", "lora-down", "lora-up"] as const) {
    test(`${name} refuses a ${role} that is not finite`, async (t) => {
      const backend = await backends[name]();
      t.teardown(() => backend.dispose());
      const { layer, tensors, x } = role === "weight-scale" ? fp8(6, 5, true) : loraLayer(4, 4);
      const probes = { u: randomMatrix(x.columns, 2, 1), v: randomMatrix(2, x.rows, 2) };
      const projector = await createProbexProjector(backend, layer, probes);
      const accumulator = projector.open(toLayerMatrices(tensors));
      const bad = tensors.map((tensor) =>
        tensor.role === role ? { ...tensor, bytes: tensor.bytes.slice().fill(0xff, 0, 4) } : tensor,
      );
      await assertRefused(t, () => streamLayer(accumulator, bad, 64), {
        reason: "NON_FINITE",
        message: /has NaN at row 0, column 0;/,
      });
    });
  }

  test(`${name} refuses finite numbers whose projection overflows`, async (t) => {
    const backend = await backends[name]();
    t.teardown(() => backend.dispose());
    const probes = { u: { rows: 4, columns: 1, values: new Float32Array(4).fill(1) }, v: randomMatrix(1, 3, 2) };
    const projector = await createProbexProjector(backend, dense, probes);
    const matrix = storedMatrix(3, 4, "F32");
    const accumulator = projector.open({ weight: matrix });
    const bytes = new Uint8Array(new Float32Array(12).fill(3e38).buffer);
    const work = async (): Promise<Float32Array> => {
      await streamLayer(accumulator, [{ role: "weight", matrix, bytes }], 48);
      return accumulator.finish();
    };
    await assertRefused(t, work, {
      reason: "NON_FINITE",
      message:
        'the projection of tensor "m.weight" overflows float32: its numbers are finite but too large to be weights',
    });
  });

  test(`${name} refuses a saved state of another layer`, async (t) => {
    const backend = await backends[name]();
    t.teardown(() => backend.dispose());
    const probes = { u: randomMatrix(4, 2, 1), v: randomMatrix(2, 3, 2) };
    const projector = await createProbexProjector(backend, dense, probes);
    const accumulator = projector.open({ weight: storedMatrix(3, 4, "F32") });
    const wrong = { name: "sum", rows: 2, columns: 3, values: new Float32Array(6) };
    for (const parts of [[], [wrong]]) {
      await assertRefused(t, () => accumulator.restore(parts), {
        kind: "corrupt-data",
        reason: "CORRUPT",
        message: 'the saved state of the upload lacks "sum" of 2 × 2',
      });
    }
  });
}

/** The plain backend, but its sums say that only what is read shows whether they are finite. */
function createDeferredBackend(): ComputeBackend {
  const plain = createPlainBackend();
  return {
    ...plain,
    load: async (sides) => {
      const product = await plain.load(sides);
      const refuse = async (): Promise<boolean> => {
        throw new Error("asking waits for the device");
      };
      return { ...product, open: (shape) => ({ ...product.open(shape), finiteAtRead: true, isFinite: refuse }) };
    },
  };
}

for (const when of ["checkpoint", "end"] as const) {
  for (const role of ["weight", "lora-up", "lora-down"] as const) {
    test(`a number in a ${role} that is not finite is refused at the ${when} where a device adds up`, async (t) => {
      const { layer, tensors, x } =
        role === "weight"
          ? { layer: dense, tensors: [createTensor("weight", 6, 5, "F32")], x: { rows: 6, columns: 5 } }
          : loraLayer(4, 4);
      const probes = { u: randomMatrix(x.columns, 2, 1), v: randomMatrix(2, x.rows, 2) };
      const projector = await createProbexProjector(createDeferredBackend(), layer, probes);
      const accumulator = projector.open(toLayerMatrices(tensors));
      const bad = tensors.map((tensor) =>
        tensor.role === role ? { ...tensor, bytes: tensor.bytes.slice().fill(0xff, 0, 4) } : tensor,
      );
      await streamLayer(accumulator, bad, 64);
      const work = async (): Promise<unknown> => (when === "end" ? accumulator.finish() : accumulator.state());
      await assertRefused(t, work, {
        reason: "NON_FINITE",
        message: new RegExp(`^tensor "m.${role}" has a number that is not finite or too large;`),
      });
    });
  }
}

for (const failing of ["add", "read"] as const) {
  test(`a LoRA layer whose last product fails at its ${failing} leaves nothing on the backend`, async (t) => {
    const plain = createPlainBackend();
    let held = 0;
    let fails = false;
    const count = <T extends { dispose(): Promise<void> }>(one: T): T => {
      held++;
      return {
        ...one,
        dispose: async () => {
          held--;
          await one.dispose();
        },
      };
    };
    const backend: ComputeBackend = {
      ...plain,
      load: async (sides) => {
        const product = await plain.load(sides);
        return count({
          ...product,
          open: (shape) => {
            const sum = product.open(shape);
            const fail = async (): Promise<never> => {
              throw new Error("the device is lost");
            };
            return count(fails ? { ...sum, [failing]: fail } : sum);
          },
        });
      },
    };
    const { layer, tensors, x } = loraLayer(4, undefined);
    const probes = { u: randomMatrix(x.columns, 6, 51), v: randomMatrix(7, x.rows, 52) };
    const projector = await createProbexProjector(backend, layer, probes);
    const accumulator = projector.open(toLayerMatrices(tensors));
    await streamLayer(accumulator, tensors, 4096);
    fails = true;
    await t.throwsAsync(accumulator.finish(), { message: "the device is lost" });
    await accumulator.dispose();
    await projector.dispose();
    t.is(held, 0);
  });
}

for (const [title, { layer, tensors, x }] of [
  ["the scale of an FP8 layer", fp8(23, 41, false)],
  ["the alpha of a LoRA layer", loraLayer(4, 10)],
] as const) {
  test(`${title} is copied into a state and out of it`, async (t) => {
    const probes = { u: randomMatrix(x.columns, 6, 51), v: randomMatrix(7, x.rows, 52) };
    const expected = exactResponses(probes.v, x, probes.u);
    const projector = await createProbexProjector(createPlainBackend(), layer, probes);
    const first = projector.open(toLayerMatrices(tensors));
    await streamLayer(first, tensors, 4096);
    const state = await first.state();
    const second = projector.open(toLayerMatrices(tensors));
    await second.restore(state);
    for (const { values } of state) values.fill(0);
    for (const accumulator of [first, second]) {
      if (layer.kind === "lora") t.true(relativeError(await accumulator.finish(), expected) < 1e-5);
      else t.not((await accumulator.state()).at(-1)?.values[0], 0);
    }
  });
}
