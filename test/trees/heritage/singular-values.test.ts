import test from "ava";
import fc from "fast-check";
import { Random } from "../../../src/linalg/random.js";
import { toDifferenceNorm, toNumericalRank } from "../../../src/trees/heritage/difference-norms.js";
import { toSingularValues } from "../../../src/trees/heritage/singular-values.js";

/** A matrix with these singular values: reflections turn a diagonal one. */
function toMatrix(values: readonly number[], rows: number, columns: number, random: Random): Float64Array {
  const matrix = new Float64Array(rows * columns);
  for (const [i, value] of values.entries()) matrix[i * columns + i] = value;
  const [left, right] = [random.spread(rows, 1), random.spread(columns, 1)];
  const norm = (vector: Float32Array): number => vector.reduce((sum, x) => sum + x * x, 0);
  // (I − 2uuᵀ/uᵀu)·D·(I − 2vvᵀ/vᵀv)
  const turned = matrix.map((_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = matrix[at] as number;
    for (let k = 0; k < rows; k++) {
      sum -=
        ((2 * (left[row] as number) * (left[k] as number)) / norm(left)) * (matrix[k * columns + column] as number);
    }
    return sum;
  });
  return turned.map((own, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = own;
    for (let k = 0; k < columns; k++) {
      sum -=
        ((2 * (right[column] as number) * (right[k] as number)) / norm(right)) * (turned[row * columns + k] as number);
    }
    return sum;
  });
}

test("the singular values of a turned diagonal matrix are its diagonal", (t) => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.integer());
  fc.assert(
    fc.property(sizes, ([rows, columns, seed]) => {
      const random = new Random(seed);
      const expected = Array.from({ length: Math.min(rows, columns) }, () => 10 ** (-6 * random.next()));
      expected.sort((a, b) => b - a);
      const found = toSingularValues(toMatrix(expected, rows, columns, random), rows, columns);
      return (
        found.length === expected.length &&
        expected.every((value, i) => Math.abs((found[i] as number) - value) <= 1e-9 * value + 1e-14)
      );
    }),
  );
  t.pass();
});

test("equal and absent singular values are found", (t) => {
  const random = new Random(4);
  const found = toSingularValues(toMatrix([2, 2, 2, 0, 0], 5, 8, random), 5, 8);
  t.true([2, 2, 2].every((value, i) => Math.abs((found[i] as number) - value) < 1e-12));
  t.true((found[3] as number) < 1e-12);
  t.deepEqual([...toSingularValues(new Float32Array(6), 2, 3)], [0, 0]);
});

test("norms take all singular values, the lesser half, or their number", (t) => {
  const values = Float64Array.of(12, 4, 3, 0);
  t.is(toDifferenceNorm(values, "l2"), 13);
  t.is(toDifferenceNorm(values, "bulk"), 3);
  t.is(toDifferenceNorm(values, "rank"), 3);
  t.is(toDifferenceNorm(Float64Array.of(5), "bulk"), 5);
  for (const measure of ["l2", "bulk", "rank"] as const) t.is(toDifferenceNorm(new Float64Array(3), measure), 0);
});

test("the rank of merged LoRAs is counted through the rounding to float32", (t) => {
  const [side, rank] = [40, 3];
  const random = new Random(9);
  const base = random.spread(side * side, 0.2);
  const [down, up] = [random.spread(rank * side, 0.1), random.spread(side * rank, 0.01)];
  const merged = base.map((value, at) => {
    let sum = value;
    for (let k = 0; k < rank; k++) {
      sum += (up[Math.floor(at / side) * rank + k] as number) * (down[k * side + (at % side)] as number);
    }
    return sum;
  });
  const values = toSingularValues(
    merged.map((value, at) => value - (base[at] as number)),
    side,
    side,
  );
  t.is(toNumericalRank(values), rank);
  t.is(toNumericalRank(values, 1e-12), side);
});
