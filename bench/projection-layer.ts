import type { Matrix, RowBlock } from "../src/compute/compute-backend.js";
import { type Dtype, dtypeBytes } from "../src/linalg/dtype.js";
import { Random } from "../src/linalg/random.js";
import { widen } from "../src/linalg/widen.js";
import { groupRowCount } from "../src/projection/row-groups.js";

/** Element types that the bench makes. */
export type BenchDtype = "F32" | "F16" | "BF16";

/** Seeded weights of a usual size, about 0.02, in an element type. */
export function createWeights(count: number, dtype: BenchDtype, seed: number): Uint8Array {
  const numbers = new Random(seed).spread(count, 0.02);
  if (dtype === "F32") return new Uint8Array(numbers.buffer);
  const bits = new Uint32Array(numbers.buffer);
  return new Uint8Array(Uint16Array.from(bits, dtype === "BF16" ? (word) => word >>> 16 : toFloat16Bits).buffer);
}

/** Float16 bits of a small float32 number, rounded towards zero; 0 where it would be subnormal. */
function toFloat16Bits(word: number): number {
  const magnitude = (word & 0x7fffffff) - (112 << 23);
  return ((word >>> 16) & 0x8000) | (magnitude < 1 << 23 ? 0 : magnitude >>> 13);
}

/** A layer's rows in the blocks that a server's workers hand to a backend, 1 MiB each. */
export function toServerBlocks(bytes: Uint8Array, dtype: Dtype, rows: number, columns: number): RowBlock[] {
  const rowBytes = columns * dtypeBytes[dtype];
  const height = groupRowCount(rowBytes);
  return Array.from({ length: Math.ceil(rows / height) }, (_, i) => {
    const [begin, end] = [i * height, Math.min(rows, (i + 1) * height)];
    return {
      bytes: bytes.subarray(begin * rowBytes, end * rowBytes),
      dtype,
      rowBegin: begin,
      rowCount: end - begin,
      columnCount: columns,
    };
  });
}

/** The first `count` columns of Lᵀ·X·R in float64, row-major: what a backend's result is measured against. */
export function exactColumns(left: Matrix, right: Matrix, blocks: readonly RowBlock[], count: number): Float64Array {
  const sum = new Float64Array(left.columns * count);
  for (const { bytes, dtype, rowBegin, rowCount, columnCount } of blocks) {
    const numbers = new Float32Array(rowCount * columnCount);
    widen(bytes, dtype, numbers);
    for (let row = 0; row < rowCount; row++) {
      for (let j = 0; j < count; j++) {
        let t = 0;
        for (let k = 0; k < columnCount; k++) {
          t += (numbers[row * columnCount + k] ?? 0) * (right.values[k * right.columns + j] ?? 0);
        }
        for (let i = 0; i < left.columns; i++) {
          const at = i * count + j;
          sum[at] = (sum[at] ?? 0) + (left.values[(rowBegin + row) * left.columns + i] ?? 0) * t;
        }
      }
    }
  }
  return sum;
}

/** The first `count` columns of a row-major matrix. */
export function takeColumns(values: Float32Array, columns: number, count: number): Float32Array {
  return values.filter((_, i) => i % columns < count);
}
