import { readFile } from "node:fs/promises";
import { dtypeCodes } from "../../compute/backends/wasm/job.js";
import { pageBytes, type WasmMemory, wasmEngine } from "../../compute/backends/wasm/web-assembly.js";
import { type Dtype, dtypeBytes } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import { toPlainGram } from "./plain-gram.js";
import {
  createPlainSketch,
  SKETCH_BUCKETS,
  type Sketch,
  type SketchRows,
  type SketchShape,
  toColumnSigns,
  toRowSign,
  toSketchBlock,
} from "./sketch.js";
import { toSketchEdges } from "./sketch-edges.js";

/** Makes sketches whose rows a WebAssembly kernel adds; in plain TypeScript where it does not run. */
export interface SketchKernel {
  create(shape: SketchShape): Sketch;
  /**
   * Inner products of all pairs of rows, rows × rows; sums in float32, four at a time.
   *
   * @param values rows × columns, row-major.
   */
  gram(values: Float32Array, rows: number): Float64Array;
}

/** What the AssemblyScript kernel exports, see `kernel/index.ts`. */
interface KernelExports {
  sketchRows(
    source: number,
    dtype: number,
    columns: number,
    rowCount: number,
    columnSigns: number,
    rowSigns: number,
    scratch: number,
    row64: number,
    sums: number,
  ): void;
  gram(source: number, rows: number, columns: number, out: number): void;
}

/** Bytes of rows that are copied into the kernel's memory at a time, but for rows that are longer: half a second cache. */
const stagedBytes = 256 * 1024;
/** Most that is copied at a time for inner products: rank 256 on 64,000. Memory of a kernel is never given back. */
const mostStagedBytes = 64 * 1024 * 1024;
/** Rows at a time at most. */
const stagedRows = 4096;
/** The kernel widens four numbers at a time. */
const overrunBytes = 16;

/** Where things lie in the kernel's memory. */
const [sums, row64, scratch, rowSigns] = [0, 512, 768, 768 + 2048];
const firstFree = rowSigns + 8 * stagedRows;

let opened: Promise<SketchKernel> | undefined;

/** The kernel of this thread. Memory: 256 KiB, or the longest row, and 4 bytes per column of each width in use. */
export function openSketchKernel(): Promise<SketchKernel> {
  opened ??= open();
  return opened;
}

async function open(): Promise<SketchKernel> {
  const bytes = await readFile(new URL("./kernel/plain-own.wasm", import.meta.url));
  if (!wasmEngine.validate(bytes)) return { create: createPlainSketch, gram: toPlainGram };
  const memory = new wasmEngine.Memory({ initial: 1 });
  const { exports } = new wasmEngine.Instance(new wasmEngine.Module(bytes), { env: { memory } });
  const regions = createRegions(memory);
  const kernel = exports as KernelExports;
  return {
    create: (shape) => createKernelSketch(kernel, regions, shape),
    gram: (values, rows) => {
      const columns = values.length / rows;
      const padded = Math.ceil(columns / 4) * 4;
      const outBytes = 8 * rows * rows;
      if (outBytes + 4 * rows * padded > mostStagedBytes) return toPlainGram(values, rows);
      const out = regions.rows(outBytes + 4 * rows * padded + overrunBytes);
      const source = new Float32Array(regions.buffer, out + outBytes, rows * padded);
      source.fill(0);
      for (let row = 0; row < rows; row++)
        source.set(values.subarray(row * columns, (row + 1) * columns), row * padded);
      kernel.gram(out + outBytes, rows, padded, out);
      return new Float64Array(regions.buffer, out, rows * rows).slice();
    },
  };
}

/** The kernel's memory: places for signs of columns, and one for rows. */
interface Regions {
  /** Address of the signs of so many columns. */
  signs(columnCount: number): number;
  /** Address of a place for rows of so many bytes. */
  rows(byteLength: number): number;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
}

function createRegions(memory: WasmMemory): Regions {
  const signs = new Map<number, number>();
  let free = firstFree;
  let staged = { at: 0, byteLength: 0 };
  const take = (byteLength: number): number => {
    const at = free;
    free += Math.ceil(byteLength / 16) * 16;
    const missing = Math.ceil((free - memory.buffer.byteLength) / pageBytes);
    if (missing > 0) memory.grow(missing);
    return at;
  };
  return {
    signs: (columnCount) => {
      const known = signs.get(columnCount);
      if (known !== undefined) return known;
      const at = take(4 * Math.ceil(columnCount / SKETCH_BUCKETS) * SKETCH_BUCKETS);
      new Float32Array(memory.buffer, at, columnCount).set(toColumnSigns(columnCount));
      signs.set(columnCount, at);
      return at;
    },
    rows: (byteLength) => {
      if (byteLength > staged.byteLength) {
        // Twice as much each time: what is left behind never comes to more than what is in use.
        const roomy = 2 ** Math.ceil(Math.log2(byteLength));
        staged = { at: take(roomy), byteLength: roomy };
      }
      return staged.at;
    },
    get buffer() {
      return memory.buffer;
    },
  };
}

function createKernelSketch(kernel: KernelExports, regions: Regions, shape: SketchShape): Sketch {
  const { rowCount, columnCount } = shape;
  const edges = toSketchEdges(rowCount);
  const values = new Float64Array((edges.length - 1) * SKETCH_BUCKETS);

  /** Adds rows of one block. */
  const addRun = (block: number, bytes: Uint8Array, dtype: Dtype, rowBegin: number, count: number): void => {
    const columnSigns = regions.signs(columnCount);
    const source = regions.rows(Math.max(stagedBytes, columnCount * 4) + overrunBytes);
    new Uint8Array(regions.buffer, source, bytes.byteLength).set(bytes);
    const signs = new Float64Array(regions.buffer, rowSigns, count);
    for (let row = 0; row < count; row++) signs[row] = toRowSign(rowBegin + row);
    const sum = new Float64Array(regions.buffer, sums, SKETCH_BUCKETS);
    const target = values.subarray(block * SKETCH_BUCKETS, (block + 1) * SKETCH_BUCKETS);
    sum.set(target);
    kernel.sketchRows(source, dtypeCodes[dtype], columnCount, count, columnSigns, rowSigns, scratch, row64, sums);
    target.set(sum);
  };

  return {
    shape,
    edges,
    values,
    add: (rows) => {
      const { bytes, dtype, rowBegin, rowCount: count } = rows.dtype === "F64" ? toFloat32(rows) : rows;
      const rowBytes = columnCount * dtypeBytes[dtype];
      const atOnce = Math.min(stagedRows, Math.max(1, Math.floor(stagedBytes / rowBytes)));
      let row = 0;
      while (row < count) {
        const block = toSketchBlock(edges, rowBegin + row);
        const end = Math.min(count, row + atOnce, (edges[block + 1] as number) - rowBegin);
        addRun(block, bytes.subarray(row * rowBytes, end * rowBytes), dtype, rowBegin + row, end - row);
        row = end;
      }
    },
  };
}

function toFloat32({ bytes, dtype, ...rows }: SketchRows): SketchRows {
  const numbers = new Float32Array(bytes.byteLength / dtypeBytes[dtype]);
  widen(bytes, dtype, numbers);
  return { ...rows, bytes: new Uint8Array(numbers.buffer), dtype: "F32" };
}
