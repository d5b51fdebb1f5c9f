import test from "ava";
import fc from "fast-check";
import { dtypeBytes } from "../../../src/linalg/dtype.js";
import { Random } from "../../../src/linalg/random.js";
import { foldSketch } from "../../../src/trees/sketches/fold-sketch.js";
import { toPlainGram } from "../../../src/trees/sketches/plain-gram.js";
import {
  createPlainSketch,
  SKETCH_BUCKETS,
  type SketchRows,
  toCompleteBlocks,
  toRowSign,
  toSketchBlock,
} from "../../../src/trees/sketches/sketch.js";
import { toSketchEdges } from "../../../src/trees/sketches/sketch-edges.js";
import { openSketchKernel, type SketchKernel } from "../../../src/trees/sketches/sketch-kernel.js";

let kernel: SketchKernel;
test.before(async () => {
  kernel = await openSketchKernel();
});

function toRows(values: Float32Array, rowBegin: number, rowCount: number): SketchRows {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { bytes, dtype: "F32", rowBegin, rowCount };
}

function sketchOf(values: Float32Array, rowCount: number, columnCount: number): Float64Array {
  const sketch = kernel.create({ rowCount, columnCount });
  sketch.add(toRows(values, 0, rowCount));
  return sketch.values;
}

function squares(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value * value, 0);
}

test("a sketch is the product of the signs, written out", (t) => {
  const [rowCount, columnCount] = [5, 130];
  const values = new Random(3).spread(rowCount * columnCount, 1);
  const sketch = sketchOf(values, rowCount, columnCount);
  // The sign of a column, from a matrix that has nothing else.
  const signOf = (column: number): number => {
    const one = new Float32Array(columnCount);
    one[column] = 1;
    return (sketchOf(one, 1, columnCount)[column % SKETCH_BUCKETS] as number) * toRowSign(0);
  };
  const expected = new Float64Array(sketch.length);
  for (let row = 0; row < rowCount; row++) {
    for (let column = 0; column < columnCount; column++) {
      const at = toSketchBlock(toSketchEdges(rowCount), row) * SKETCH_BUCKETS + (column % SKETCH_BUCKETS);
      const value = values[row * columnCount + column] as number;
      expected[at] = (expected[at] as number) + toRowSign(row) * signOf(column) * value;
    }
  }
  const error = expected.map((value, index) => value - (sketch[index] as number));
  t.true(squares(error) < 1e-12 * squares(sketch));
});

test("rows in any pieces give the same sketch", (t) => {
  const [rowCount, columnCount] = [200, 70];
  const values = new Random(4).spread(rowCount * columnCount, 1);
  const whole = sketchOf(values, rowCount, columnCount);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: rowCount - 1 }), { maxLength: 12 }), (cuts) => {
      const sketch = kernel.create({ rowCount, columnCount });
      const edges = [0, ...cuts.sort((a, b) => a - b), rowCount];
      for (const [index, end] of edges.slice(1).entries()) {
        const begin = edges[index] as number;
        sketch.add(toRows(values.subarray(begin * columnCount, end * columnCount), begin, end - begin));
      }
      return sketch.values.every((value, index) => Math.abs(value - (whole[index] as number)) < 1e-12);
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test("the first rows decide the complete blocks, whatever follows", (t) => {
  const [rowCount, columnCount] = [300, 64];
  const values = new Random(5).spread(rowCount * columnCount, 1);
  const whole = sketchOf(values, rowCount, columnCount);
  const edges = toSketchEdges(rowCount);
  for (const rows of [0, 1, 2, 3, 14, 150, 299, 300]) {
    const sketch = kernel.create({ rowCount, columnCount });
    sketch.add(toRows(values.subarray(0, rows * columnCount), 0, rows));
    const blocks = toCompleteBlocks(edges, rows);
    t.true((edges[blocks] as number) <= rows);
    t.is(blocks === edges.length - 1, rows === rowCount);
    t.deepEqual(sketch.values.subarray(0, blocks * SKETCH_BUCKETS), whole.subarray(0, blocks * SKETCH_BUCKETS));
  }
});

test("blocks cover all rows, the small ones first", (t) => {
  for (const rowCount of [1, 2, 127, 128, 129, 140, 300, 2048, 4096, 65_537]) {
    const edges = toSketchEdges(rowCount);
    const sizes = edges.slice(1).map((edge, block) => edge - (edges[block] as number));
    t.is(edges.length - 1, Math.min(128, rowCount));
    t.is(edges.at(-1), rowCount);
    t.true(
      sizes.every((size) => size >= 1),
      String(rowCount),
    );
    t.true((edges[8] ?? 0) <= Math.max(8, rowCount / 256));
    for (const [block, edge] of edges.slice(0, -1).entries()) t.is(toSketchBlock(edges, edge), block);
  }
});

test("the kernel sketches every type as plain TypeScript does", (t) => {
  const random = new Random(11);
  for (const dtype of ["F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F64"] as const) {
    for (const [rowCount, columnCount] of [
      [3, 1],
      [5, 63],
      [130, 64],
      [40, 515],
      [7, 1100],
    ] as const) {
      const bytes = new Uint8Array(rowCount * columnCount * dtypeBytes[dtype] + 1).subarray(1);
      // Numbers of moderate size: any byte as the lowest, and an exponent near 1 in the highest.
      const high = { F32: 0x3f, F16: 0x3b, BF16: 0x3f, F8_E4M3: 0x38, F8_E5M2: 0x3c, F64: 0x3f }[dtype];
      for (let i = 0; i < bytes.length; i++) {
        const isHighest = i % dtypeBytes[dtype] === dtypeBytes[dtype] - 1;
        bytes[i] = isHighest
          ? high ^ (random.next() < 0.5 ? 0x80 : 0) ^ (random.next() < 0.5 ? 1 : 0)
          : 256 * random.next();
      }
      const [fast, plain] = [kernel.create({ rowCount, columnCount }), createPlainSketch({ rowCount, columnCount })];
      for (const sketch of [fast, plain]) sketch.add({ bytes, dtype, rowBegin: 0, rowCount });
      const error = fast.values.map((value, index) => value - (plain.values[index] as number));
      t.true(squares(error) <= 1e-12 * squares(plain.values), `${dtype} ${rowCount} × ${columnCount}`);
      t.true(squares(plain.values) > 0);
    }
  }
});

test("the distance of sketches is that of matrices, within the error that is promised", (t) => {
  const [rowCount, columnCount] = [512, 256];
  const random = new Random(6);
  const ratios = Array.from({ length: 20 }, () => {
    const difference = random.spread(rowCount * columnCount, 1);
    const sketch = sketchOf(difference, rowCount, columnCount);
    const length = squares(difference);
    return [squares(sketch) / length, squares(foldSketch(sketch, 8)) / length] as const;
  });
  const deviation = (values: number[]): number =>
    Math.sqrt(values.reduce((sum, value) => sum + (value - 1) ** 2, 0) / values.length);
  t.true(deviation(ratios.map(([full]) => full)) < 2 * Math.sqrt(2 / 7168));
  t.true(deviation(ratios.map(([, folded]) => folded)) < 2 * Math.sqrt(2 / 448));
});

test("a sketch is linear", (t) => {
  const [rowCount, columnCount] = [40, 33];
  const [x, y] = [new Random(7).spread(1320, 1), new Random(8).spread(1320, 1)];
  const [sx, sy] = [sketchOf(x, rowCount, columnCount), sketchOf(y, rowCount, columnCount)];
  const sum = sketchOf(
    x.map((value, index) => value - 2 * (y[index] as number)),
    rowCount,
    columnCount,
  );
  const error = sum.map((value, index) => value - ((sx[index] as number) - 2 * (sy[index] as number)));
  t.true(squares(error) < 1e-10 * squares(sum));
});

test("a sketch with few blocks is not folded", (t) => {
  const sketch = sketchOf(new Random(9).spread(6 * 8, 1), 6, 8);
  t.deepEqual(foldSketch(sketch, 6), sketch);
  t.is(foldSketch(sketch, 4).length, 4 * SKETCH_BUCKETS);
});

test("the kernel's inner products of rows are those of plain TypeScript", (t) => {
  const random = new Random(14);
  for (const [rows, columns] of [
    [1, 1],
    [3, 5],
    [4, 64],
    [7, 130],
    [33, 77],
  ] as const) {
    const values = random.spread(rows * columns, 1);
    const [fast, plain] = [kernel.gram(values, rows), toPlainGram(values, rows)];
    const error = fast.map((value, index) => value - (plain[index] as number));
    t.true(squares(error) <= 1e-12 * squares(plain), `${rows} × ${columns}`);
  }
});
