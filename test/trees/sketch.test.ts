import test from "ava";
import fc from "fast-check";
import { Random } from "../../src/linalg/random.js";
import { foldSketch } from "../../src/trees/fold-sketch.js";
import { SKETCH_BUCKETS, Sketcher, toCompleteBlocks, toRowSign, toSketchBlock } from "../../src/trees/sketch.js";

function sketchOf(values: Float32Array, rowCount: number, columnCount: number): Float64Array {
  const sketcher = new Sketcher({ rowCount, columnCount });
  sketcher.add(values, 0, rowCount);
  return sketcher.values;
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
      const at = toSketchBlock(row, rowCount) * SKETCH_BUCKETS + (column % SKETCH_BUCKETS);
      const value = values[row * columnCount + column] as number;
      expected[at] = (expected[at] as number) + toRowSign(row) * signOf(column) * value;
    }
  }
  t.true(squares(expected.map((value, index) => value - (sketch[index] as number))) < 1e-20);
});

test("rows in any pieces give the same sketch", (t) => {
  const [rowCount, columnCount] = [200, 70];
  const values = new Random(4).spread(rowCount * columnCount, 1);
  const whole = sketchOf(values, rowCount, columnCount);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: rowCount - 1 }), { maxLength: 12 }), (cuts) => {
      const sketcher = new Sketcher({ rowCount, columnCount });
      const edges = [0, ...cuts.sort((a, b) => a - b), rowCount];
      for (const [index, end] of edges.slice(1).entries()) {
        const begin = edges[index] as number;
        sketcher.add(values.subarray(begin * columnCount, end * columnCount), begin, end - begin);
      }
      return sketcher.values.every((value, index) => Math.abs(value - (whole[index] as number)) < 1e-12);
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test("the first rows decide the complete blocks, whatever follows", (t) => {
  const [rowCount, columnCount] = [300, 64];
  const values = new Random(5).spread(rowCount * columnCount, 1);
  const whole = sketchOf(values, rowCount, columnCount);
  for (const rows of [0, 1, 2, 3, 14, 150, 299, 300]) {
    const sketcher = new Sketcher({ rowCount, columnCount });
    sketcher.add(values, 0, rows);
    const complete = toCompleteBlocks(rows, rowCount) * SKETCH_BUCKETS;
    t.deepEqual(sketcher.values.subarray(0, complete), whole.subarray(0, complete));
    t.true(complete / whole.length <= rows / rowCount + 1e-12);
    t.true(complete / whole.length > rows / rowCount - 1 / 100);
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
  t.true(deviation(ratios.map(([full]) => full)) < 2 * Math.sqrt(2 / 8192));
  t.true(deviation(ratios.map(([, folded]) => folded)) < 2 * Math.sqrt(2 / 512));
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
