import { dtypeBytes } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import type { ComputeBackend, Matrix, Product, ProductSides, RowBlock, RunningSum } from "../compute-backend.js";
import { assertBlockFits, toSumShape } from "../product-shape.js";
import { createUseCounter } from "../use-counter.js";

/**
 * The readable backend: loops in TypeScript with float64 sums, the oracle of the other backends' tests and the last
 * resort where nothing else runs. About 1 GFLOP/s.
 */
export function createPlainBackend(): ComputeBackend {
  return {
    ...label,
    isVolatile: false,
    load: async (sides) => createProduct(sides),
    dispose: async () => {},
  };
}

const label = { name: "plain", device: "TypeScript, CPU, 1 thread" };

function createProduct(sides: ProductSides): Product {
  return {
    residentBytes: (sides.left?.values.byteLength ?? 0) + (sides.right?.values.byteLength ?? 0),
    open: (x) => createSum(sides, x),
    dispose: async () => {},
  };
}

function createSum(sides: ProductSides, x: { rows: number; columns: number }): RunningSum {
  const { rows, columns } = toSumShape(sides, x);
  const sum = new Float64Array(rows * columns);
  const counter = createUseCounter(label);
  return {
    rows,
    columns,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      addBlock(sum, sides, block);
      counter.add(block.rowCount);
    },
    // As it is read: what float64 holds may be too large for float32.
    isFinite: async () => sum.every((value) => Number.isFinite(Math.fround(value))),
    read: async () => Float32Array.from(sum),
    restore: async (values) => sum.set(values),
    uses: counter.uses,
    dispose: async () => {},
  };
}

/** sum += Lᵀ[:, block]·block·R, row by row: t = x·R, then the outer product of the row of L with t. */
function addBlock(sum: Float64Array, { left, right }: ProductSides, block: RowBlock): void {
  const { rowBegin, rowCount, columnCount } = block;
  const values = new Float32Array(rowCount * columnCount);
  widen(block.bytes, block.dtype, values);
  for (let row = 0; row < rowCount; row++) {
    const x = values.subarray(row * columnCount, (row + 1) * columnCount);
    const t = right === undefined ? Float64Array.from(x) : multiplyRow(x, right);
    if (left === undefined) {
      const offset = (rowBegin + row) * t.length;
      for (let j = 0; j < t.length; j++) sum[offset + j] = (sum[offset + j] as number) + (t[j] as number);
    } else {
      addOuter(sum, left, rowBegin + row, t);
    }
  }
}

/** x·R for one row x. */
function multiplyRow(x: Float32Array, { columns, values }: Matrix): Float64Array {
  const t = new Float64Array(columns);
  for (let k = 0; k < x.length; k++) {
    const factor = x[k] as number;
    const offset = k * columns;
    for (let j = 0; j < columns; j++) t[j] = (t[j] as number) + factor * (values[offset + j] as number);
  }
  return t;
}

/** sum += l ⊗ t, l the given row of L. */
function addOuter(sum: Float64Array, { columns, values }: Matrix, row: number, t: Float64Array): void {
  for (let i = 0; i < columns; i++) {
    const factor = values[row * columns + i] as number;
    const offset = i * t.length;
    for (let j = 0; j < t.length; j++) sum[offset + j] = (sum[offset + j] as number) + factor * (t[j] as number);
  }
}
