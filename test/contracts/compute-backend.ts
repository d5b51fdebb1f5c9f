import test, { type ExecutionContext } from "ava";
import type { ComputeBackend, Matrix, ProductSides, RowBlock, RunningSum } from "../../src/compute/compute-backend.js";
import { InternalError } from "../../src/errors/probestream-error.js";
import { type Dtype, dtypeBytes } from "../../src/linalg/dtype.js";
import { decode, dtypes, nonFiniteBytes, randomNumbers } from "../helpers/decode.js";
import { type ExactMatrix, multiply, relativeError, turned } from "../helpers/oracle.js";
import { createRandom, randomMatrix } from "../helpers/random.js";

/** What a backend is held to. */
export interface BackendContract {
  /** Its name, for the tests' titles. */
  readonly name: string;
  /** What of it is tested, for the tests' titles, where it has several forms. */
  readonly variant?: string;
  create(): Promise<ComputeBackend>;
  /**
   * Gives a backend that the tests have together, where starting one for each is dear; whoever gives it disposes of it.
   * Default: each test has one of its own, as those of starting have in any case.
   */
  share?(): Promise<ComputeBackend>;
  /** Relative error (L2) against float64 at most, with its reason where the backend is registered. */
  readonly tolerance: number;
}

/** A stored matrix X with its numbers in float64. */
interface StoredX extends ExactMatrix {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly dtype: Dtype;
}

type Side = "left" | "right" | "both";

const sideNames = {
  left: "Lᵀ·X",
  right: "X·R",
  both: "Lᵀ·X·R",
} as const satisfies Record<Side, string>;
const sides = Object.keys(sideNames) as readonly Side[];

/** What was made, by what of: each backend of a file is held to the same. */
const layers = new Map<string, StoredX>();
const factors = new Map<string, Matrix>();
const sums = new WeakMap<StoredX, Map<string, ExactMatrix>>();

/** A layer that all tests read and none writes. */
function createX(rows: number, columns: number, dtype: Dtype, seed: number): StoredX {
  const key = `${rows} × ${columns} ${dtype} ${seed}`;
  const known = layers.get(key);
  if (known !== undefined) return known;
  const bytes = randomNumbers(rows * columns, dtype, seed);
  const x = { rows, columns, bytes, dtype, values: decode(bytes, dtype) };
  layers.set(key, x);
  return x;
}

/** A matrix whose values nobody else has. */
function createFactor(rows: number, columns: number, seed: number): Matrix {
  const key = `${rows} × ${columns} ${seed}`;
  const { values } = factors.get(key) ?? randomMatrix(rows, columns, seed);
  factors.set(key, { rows, columns, values });
  return { rows, columns, values: values.slice() };
}

/** The block of rows from `begin` to `end`. */
function toBlock({ bytes, dtype, columns }: StoredX, begin: number, end: number): RowBlock {
  const bytesPerRow = columns * dtypeBytes[dtype];
  return {
    bytes: bytes.subarray(begin * bytesPerRow, end * bytesPerRow),
    dtype,
    rowBegin: begin,
    rowCount: end - begin,
    columnCount: columns,
  };
}

function toBlocks(x: StoredX, height: number): RowBlock[] {
  const count = Math.ceil(x.rows / height);
  return Array.from({ length: count }, (_, i) => toBlock(x, i * height, Math.min(x.rows, (i + 1) * height)));
}

/** L with 5 columns and R with 3, or only one of them. A copy each time: matrices belong to the backend afterwards. */
function createSides(side: Side, x: { rows: number; columns: number }, l = 5, r = 3): ProductSides {
  const left = createFactor(x.rows, l, 101);
  const right = createFactor(x.columns, r, 102);
  return { ...(side !== "right" && { left }), ...(side !== "left" && { right }) };
}

/** The sum of a whole layer, by the sides that {@link createSides} gives for it. */
function exactSum(side: Side, x: StoredX, l?: number, r?: number): ExactMatrix {
  const ofX = sums.get(x) ?? new Map<string, ExactMatrix>();
  sums.set(x, ofX);
  const key = `${side} ${l} ${r}`;
  const known = ofX.get(key);
  if (known !== undefined) return known;
  const { left, right } = createSides(side, x, l, r);
  const product = right === undefined ? x : multiply(x, right);
  const sum = left === undefined ? product : multiply(turned(left), product);
  ofX.set(key, sum);
  return sum;
}

/** Registers the tests that every backend has to pass. */
export function testComputeBackend({ name: backendName, variant, create, share, tolerance }: BackendContract): void {
  const name = variant === undefined ? backendName : `${backendName} (${variant})`;
  const withBackend = async (t: ExecutionContext): Promise<ComputeBackend> => {
    if (share !== undefined) return share();
    const backend = await create();
    t.teardown(() => backend.dispose());
    return backend;
  };
  const assertSum = async (t: ExecutionContext, sum: RunningSum, expected: ExactMatrix, what = ""): Promise<void> => {
    const found = await sum.read();
    t.is(sum.rows, expected.rows);
    t.is(sum.columns, expected.columns);
    const error = relativeError(found, expected.values);
    t.true(error <= tolerance, `${what} relative error ${error}`);
    t.true(await sum.isFinite());
  };

  test(`${name} says what it is and what runs`, async (t) => {
    const backend = await withBackend(t);
    t.is(backend.name, backendName);
    t.not(backend.device, "");
  });

  for (const side of sides) {
    for (const dtype of dtypes) {
      test(`${name} sums ${sideNames[side]} of ${dtype} in blocks within ${tolerance} of float64`, async (t) => {
        const x = createX(61, 37, dtype, 7);
        const backend = await withBackend(t);
        const product = await backend.load(createSides(side, x));
        t.true(product.residentBytes > 0);
        const sum = product.open(x);
        for (const block of toBlocks(x, 9)) await sum.add(block);
        await assertSum(t, sum, exactSum(side, x));
        await sum.dispose();
        await product.dispose();
      });
    }

    for (const [rows, columns] of [
      [1, 1],
      [1, 97],
      [89, 1],
      [2, 2],
      [127, 131],
    ] as const) {
      test(`${name} sums ${sideNames[side]} of a ${rows} × ${columns} layer`, async (t) => {
        const x = createX(rows, columns, "F32", rows);
        const backend = await withBackend(t);
        for (const width of [1, 7]) {
          const product = await backend.load(createSides(side, x, width, width));
          for (const height of [1, 13, rows]) {
            const sum = product.open(x);
            for (const block of toBlocks(x, height)) await sum.add(block);
            await assertSum(t, sum, exactSum(side, x, width, width), `width ${width}, height ${height}`);
            await sum.dispose();
          }
          await product.dispose();
        }
      });
    }

    // Longer than what loops of shaders are capped to, and wider than textures are.
    for (const [rows, columns] of [
      [5, 2100],
      [2, 20_011],
      [2100, 5],
      [20_011, 2],
    ] as const) {
      // X·R is as tall as X, which is no more than the rank of a LoRA where it is used.
      if (side === "right" && rows > 16_384) continue;
      test(`${name} sums ${sideNames[side]} of a ${rows} × ${columns} layer, tall or wide`, async (t) => {
        const x = createX(rows, columns, "F32", rows);
        const backend = await withBackend(t);
        const product = await backend.load(createSides(side, x, 6, 7));
        const sum = product.open(x);
        // A server hands on 2048 rows at most.
        for (const block of toBlocks(x, 2048)) await sum.add(block);
        await assertSum(t, sum, exactSum(side, x, 6, 7));
        await sum.dispose();
        await product.dispose();
      });
    }

    test(`${name} sums ${sideNames[side]} in any order of row blocks`, async (t) => {
      const x = createX(47, 29, "F16", 3);
      const backend = await withBackend(t);
      const product = await backend.load(createSides(side, x));
      const expected = exactSum(side, x);
      for (let seed = 0; seed < 8; seed++) {
        const random = createRandom(seed);
        const blocks = toBlocks(x, 5)
          .map((block) => ({ block, key: random() }))
          .sort((a, b) => a.key - b.key);
        const sum = product.open(x);
        for (const { block } of blocks) await sum.add(block);
        await assertSum(t, sum, expected, `seed ${seed}`);
        await sum.dispose();
      }
    });

    test(`${name} sums ${sideNames[side]} of rows that are spread over two blocks with zeros between`, async (t) => {
      const x = createX(11, 23, "BF16", 5);
      const backend = await withBackend(t);
      const product = await backend.load(createSides(side, x));
      const sum = product.open(x);
      const block = toBlock(x, 0, x.rows);
      const cut = 4 * 23 * 2 + 14;
      const first = block.bytes.slice().fill(0, cut);
      const second = block.bytes.slice().fill(0, 0, cut);
      await sum.add({ ...block, bytes: second });
      await sum.add({ ...block, bytes: first });
      await assertSum(t, sum, exactSum(side, x));
    });

    test(`${name} goes on from a sum of ${sideNames[side]} that was read, to 1e-7`, async (t) => {
      const x = createX(40, 31, "F32", 9);
      const backend = await withBackend(t);
      const product = await backend.load(createSides(side, x));
      const whole = product.open(x);
      for (const block of toBlocks(x, 8)) await whole.add(block);
      const first = product.open(x);
      const second = product.open(x);
      // What a sum held before must be gone afterwards.
      await second.add(toBlock(x, 0, 40));
      for (const block of toBlocks(x, 8).slice(0, 2)) await first.add(block);
      const saved = (await first.read()).slice();
      const copy = saved.slice();
      await second.restore(saved);
      await first.add(toBlock(x, 16, 24));
      for (const block of toBlocks(x, 8).slice(2)) await second.add(block);
      t.deepEqual(saved, copy, "what was restored from is not kept");
      await assertSum(t, second, exactSum(side, x));
      t.true(relativeError(await second.read(), await whole.read()) < 1e-7);
    });

    test(`${name} keeps sums of ${sideNames[side]} on one product apart`, async (t) => {
      const a = createX(33, 17, "F32", 21);
      const b = createX(33, 17, "F16", 22);
      const backend = await withBackend(t);
      const product = await backend.load(createSides(side, a));
      const other = await backend.load(createSides(side, a, 2, 2));
      const sums = [product.open(a), product.open(b), other.open(a)] as const;
      const blocksOfB = toBlocks(b, 4);
      for (const [i, block] of toBlocks(a, 4).entries()) {
        await sums[0].add(block);
        await sums[1].add(blocksOfB[i] as RowBlock);
        await sums[2].add(block);
      }
      await assertSum(t, sums[0], exactSum(side, a));
      await assertSum(t, sums[1], exactSum(side, b));
      await assertSum(t, sums[2], exactSum(side, a, 2, 2));
    });

    test(`${name} leaves a sum of ${sideNames[side]} non-finite after a non-finite number, whatever L and R hold`, async (t) => {
      const backend = await withBackend(t);
      for (const dtype of dtypes) {
        const x = createX(9, 19, dtype, 31);
        const size = dtypeBytes[dtype];
        for (const zeros of [false, true]) {
          const loaded = createSides(side, x);
          if (zeros) clearRows(loaded, 4, 6);
          const product = await backend.load(loaded);
          for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
            const bad = nonFiniteBytes(dtype, value);
            if (bad === undefined) continue;
            const bytes = x.bytes.slice();
            bytes.set(bad, (4 * 19 + 6) * size);
            const sum = product.open(x);
            await sum.add(toBlock({ ...x, bytes }, 3, 9));
            t.false(await sum.isFinite(), `${value} in ${dtype}${zeros ? " against zeros" : ""}`);
            await sum.add(toBlock(x, 0, 3));
            t.false(await sum.isFinite(), `${value} in ${dtype}, one block later`);
            await sum.dispose();
          }
          await product.dispose();
        }
      }
    });
  }

  test(`${name} starts each sum at zero`, async (t) => {
    const x = createX(3, 4, "F32", 1);
    const backend = await withBackend(t);
    for (const side of sides) {
      const product = await backend.load(createSides(side, x));
      const sum = product.open(x);
      t.deepEqual(await sum.read(), new Float32Array(sum.rows * sum.columns));
      t.true(await sum.isFinite());
    }
  });

  test(`${name} calls a sum that overflows float32 not finite`, async (t) => {
    const backend = await withBackend(t);
    const one = { rows: 1, columns: 1, values: Float32Array.of(1) };
    const product = await backend.load({ left: one, right: { ...one, values: Float32Array.of(1) } });
    const sum = product.open(one);
    const bytes = new Uint8Array(Float32Array.of(3e38).buffer);
    for (let i = 0; i < 2; i++) await sum.add({ bytes, dtype: "F32", rowBegin: 0, rowCount: 1, columnCount: 1 });
    t.false(await sum.isFinite());
    t.deepEqual(await sum.read(), Float32Array.of(Number.POSITIVE_INFINITY));
  });

  for (const dtype of dtypes) {
    test(`${name} reads ${dtype} at every alignment, in blocks small and large`, async (t) => {
      const backend = await withBackend(t);
      for (const rows of [3, 150]) {
        const x = createX(rows, 127, dtype, 17);
        const product = await backend.load(createSides("both", x));
        const expected = exactSum("both", x);
        for (const shift of [0, 1, 2, 3, 4, 7]) {
          const shifted = new Uint8Array(x.bytes.length + shift);
          shifted.set(x.bytes, shift);
          const sum = product.open(x);
          await sum.add({ ...toBlock(x, 0, rows), bytes: shifted.subarray(shift) });
          await assertSum(t, sum, expected, `shift ${shift}`);
          await sum.dispose();
        }
        await product.dispose();
      }
    });
  }

  test(`${name} does not read a block's memory after the promise settled`, async (t) => {
    const x = createX(12, 10, "F32", 2);
    const backend = await withBackend(t);
    const product = await backend.load(createSides("both", x));
    const sum = product.open(x);
    const reused = new Uint8Array(4 * 10 * 4);
    for (const block of toBlocks(x, 4)) {
      reused.set(block.bytes);
      await sum.add({ ...block, bytes: reused });
      reused.fill(0xff);
    }
    await assertSum(t, sum, exactSum("both", x));
  });

  test(`${name} loads and disposes again and again`, async (t) => {
    const x = createX(20, 20, "F32", 4);
    for (let round = 0; round < 3; round++) {
      const backend = await create();
      for (const side of sides) {
        const product = await backend.load(createSides(side, x));
        const sum = product.open(x);
        await sum.add(toBlock(x, 0, 20));
        await assertSum(t, sum, exactSum(side, x));
        await sum.dispose();
        await product.dispose();
      }
      await backend.dispose();
    }
  });

  test(`${name} refuses a block that does not lie in its layer`, async (t) => {
    const x = createX(6, 5, "F32", 8);
    const backend = await withBackend(t);
    for (const side of sides) {
      const sum = (await backend.load(createSides(side, x))).open(x);
      const block = toBlock(x, 0, 2);
      const wrong: readonly RowBlock[] = [
        { ...block, rowBegin: 5 },
        { ...block, rowBegin: -1 },
        { ...block, rowCount: 0, bytes: new Uint8Array(0) },
        { ...block, columnCount: 4 },
        { ...block, bytes: block.bytes.subarray(1) },
        { ...block, dtype: "F16" },
      ];
      for (const one of wrong) await t.throwsAsync(async () => sum.add(one), { instanceOf: InternalError });
      t.deepEqual(await sum.read(), new Float32Array(sum.rows * sum.columns), "nothing was added");
    }
  });

  test(`${name} refuses sides that do not fit the layer`, async (t) => {
    const backend = await withBackend(t);
    const fits = { rows: 6, columns: 5 };
    for (const side of sides) {
      const product = await backend.load(createSides(side, fits));
      if (side !== "right") t.throws(() => product.open({ rows: 7, columns: 5 }), { instanceOf: InternalError });
      if (side !== "left") t.throws(() => product.open({ rows: 6, columns: 4 }), { instanceOf: InternalError });
    }
  });
}

function clearRows({ left, right }: ProductSides, ofLeft: number, ofRight: number): void {
  const clear = ({ columns, values }: Matrix, row: number): void => {
    values.fill(0, row * columns, (row + 1) * columns);
  };
  if (left !== undefined) clear(left, ofLeft);
  if (right !== undefined) clear(right, ofRight);
}
