import { createPlainBackend } from "../../src/compute/backends/plain.js";
import type { ProductSides, RowBlock } from "../../src/compute/compute-backend.js";
import { multiply, turned } from "./oracle.js";
import { randomMatrix } from "./random.js";

/** The plain backend as a candidate. */
export const plain = { name: "plain", create: async () => createPlainBackend() };

/** What is multiplied: 40 × 17 numbers. */
export const x = randomMatrix(40, 17, 1);

/** Sides of a product for {@link x}, made anew each time. */
export const sides = (): ProductSides => ({ left: randomMatrix(40, 6, 2), right: randomMatrix(17, 4, 3) });

/** What the product of all {@link toBlocks} comes to. */
export const expectedSum = multiply(turned(randomMatrix(40, 6, 2)), multiply(x, randomMatrix(17, 4, 3))).values;

/** The rows of {@link x}, cut into blocks of these heights and one of the rest. */
export function toBlocks(heights: readonly number[]): RowBlock[] {
  const blocks: RowBlock[] = [];
  let row = 0;
  for (const height of [...heights, x.rows]) {
    const end = Math.min(x.rows, row + height);
    if (end === row) break;
    const bytes = new Uint8Array(x.values.slice(row * x.columns, end * x.columns).buffer);
    blocks.push({ bytes, dtype: "F32", rowBegin: row, rowCount: end - row, columnCount: x.columns });
    row = end;
  }
  return blocks;
}
