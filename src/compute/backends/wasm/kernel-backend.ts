import { InternalError } from "../../../errors/probestream-error.js";
import { dtypeBytes } from "../../../linalg/dtype.js";
import { widen } from "../../../linalg/widen.js";
import type { ComputeBackend, Matrix, Product, ProductSides, RowBlock, RunningSum } from "../../compute-backend.js";
import { assertBlockFits, toSumShape } from "../../product-shape.js";
import { createUseCounter, type UseCounter } from "../../use-counter.js";
import type { Crew, StripWork } from "./crew.js";
import { encodeJob, type Job, jobBytes, paddedColumns, scratchBytes, stagedBytes, stripRowCount } from "./job.js";
import type { CompiledKernel, Kernel } from "./kernel.js";
import type { Regions } from "./regions.js";
import type { WasmMemory } from "./web-assembly.js";

/** What a backend works with. */
export interface KernelParts {
  readonly kernel: Kernel;
  readonly build: CompiledKernel["build"];
  readonly memory: WasmMemory;
  readonly regions: Regions;
  readonly crew: Crew;
}

/** Bytes of R that are copied into the kernel's memory at a time, to be packed there. */
const packedAtOnceBytes = 1024 * 1024;

/** The kernel reads whole registers and tiles: up to 12 bytes past the last number. */
const slackBytes = 16;

/**
 * A backend on an instance of the kernel; nothing here needs Node.
 *
 * All products and sums of a backend share one memory. WebAssembly memory never shrinks, and each reserves some GiB of
 * addresses, so that one per product (a LoRA model makes one of its own) would exhaust them before the garbage
 * collector runs; in one memory the next product takes the place of the last.
 *
 * Memory: L; R in panels of eight columns; 8 bytes per number of an open sum, which is float64 (onnxruntime's two
 * float32 buffers take as much); and one workspace: the job, the staged strips (512 KiB as float32, or 16 rows if these
 * are more), and per thread a scratch area, per helper a sum.
 */
export function createKernelBackend(parts: KernelParts): ComputeBackend {
  const { build, crew } = parts;
  const workspace = createWorkspace(parts.regions);
  const simd = build === "relaxed" ? "relaxed SIMD" : "SIMD";
  const label = {
    name: "wasm",
    device: `WebAssembly ${simd}, CPU, ${crew.threads} ${crew.threads === 1 ? "thread" : "threads"}`,
  };
  return {
    ...label,
    isVolatile: false,
    load: async (sides) => createProduct(parts, workspace, () => createUseCounter(label), sides),
    dispose: () => crew.dispose(),
  };
}

/** One region that is as large as the largest use of it so far. */
interface Workspace {
  /** Its address, with room for `byteCount` bytes. What it held is lost. */
  reserve(byteCount: number): number;
}

function createWorkspace(regions: Regions): Workspace {
  let address: number | undefined;
  let length = 0;
  return {
    reserve: (byteCount) => {
      if (address !== undefined && byteCount <= length) return address;
      if (address !== undefined) regions.free(address);
      address = undefined;
      address = regions.allocate(byteCount);
      length = byteCount;
      return address;
    },
  };
}

/** L and R in the kernel's memory. */
type ResidentSides = Pick<Job, "left" | "leftColumns" | "right" | "rightColumns">;

function createProduct(
  parts: KernelParts,
  workspace: Workspace,
  openCounter: () => UseCounter,
  { left, right }: ProductSides,
): Product {
  if (left === undefined && right === undefined) throw new InternalError("INTERNAL", "a product needs L or R");
  const { regions } = parts;
  const rightBytes = right === undefined ? 0 : right.rows * paddedColumns(right.columns) * 4;
  const leftBytes = left === undefined ? 0 : left.values.byteLength + slackBytes;
  const rightAddress = right === undefined ? 0 : loadRight(parts, workspace, right, rightBytes);
  let leftAddress = 0;
  try {
    if (left !== undefined) leftAddress = loadLeft(parts, left, leftBytes);
  } catch (error) {
    if (rightAddress !== 0) regions.free(rightAddress);
    throw error;
  }
  const resident: ResidentSides = {
    left: leftAddress,
    leftColumns: left?.columns ?? 0,
    right: rightAddress,
    rightColumns: right?.columns ?? 0,
  };
  // Closures keep all that they name: only the shapes are needed from here on.
  const shapes = { left: toExtents(left), right: toExtents(right) };
  let loaded = true;
  return {
    residentBytes: leftBytes + rightBytes,
    open: (x) => {
      const shape = toSumShape(shapes, x);
      return createSum(
        parts,
        workspace,
        openCounter(),
        resident,
        { rows: x.rows, columns: x.columns },
        shape,
        () => loaded,
      );
    },
    dispose: async () => {
      if (!loaded) return;
      loaded = false;
      if (leftAddress !== 0) regions.free(leftAddress);
      if (rightAddress !== 0) regions.free(rightAddress);
    },
  };
}

function toExtents(matrix: Matrix | undefined): { rows: number; columns: number } | undefined {
  return matrix === undefined ? undefined : { rows: matrix.rows, columns: matrix.columns };
}

function loadLeft({ memory, regions }: KernelParts, left: Matrix, byteCount: number): number {
  const address = regions.allocate(byteCount);
  new Float32Array(memory.buffer, address, left.values.length).set(left.values);
  return address;
}

function loadRight(
  { kernel, memory, regions }: KernelParts,
  workspace: Workspace,
  { rows, columns, values }: Matrix,
  byteCount: number,
): number {
  const rowsAtOnce = Math.max(1, Math.floor(packedAtOnceBytes / (4 * columns)));
  const source = workspace.reserve(Math.min(rows, rowsAtOnce) * columns * 4);
  const address = regions.allocate(byteCount);
  const panelRowBytes = 4 * paddedColumns(1);
  for (let begin = 0; begin < rows; begin += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - begin);
    const some = values.subarray(begin * columns, (begin + count) * columns);
    new Float32Array(memory.buffer, source, some.length).set(some);
    kernel.packPanels(source, columns * 4, count, columns, address + begin * panelRowBytes, rows * panelRowBytes);
  }
  return address;
}

function createSum(
  parts: KernelParts,
  workspace: Workspace,
  counter: UseCounter,
  resident: ResidentSides,
  x: { readonly rows: number; readonly columns: number },
  { rows, columns }: { readonly rows: number; readonly columns: number },
  isLoaded: () => boolean,
): RunningSum {
  const { kernel, memory, regions, crew } = parts;
  const count = rows * columns;
  // The kernel adds pairs of numbers.
  const sumBytes = Math.ceil(count / 2) * 16;
  const sum = regions.allocate(sumBytes);
  kernel.clearSum(sum, sumBytes / 8);
  const numbers = (): Float64Array => new Float64Array(memory.buffer, sum, count);
  let open = true;
  const assertOpen = (): void => {
    if (!open || !isLoaded()) throw new InternalError("INTERNAL", "the sum, or the product it is of, was disposed");
  };
  return {
    rows,
    columns,
    add: async (block) => {
      assertOpen();
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const job: Job = { dtype: block.dtype, columns: x.columns, ...resident };
      const work = layOut(parts, workspace, job, block, { sum, sumCount: count, sumBytes });
      crew.run(work, (strip, address) => stage(memory, block, strip * work.stripRows, work.stripRows, address));
      counter.add(block.rowCount);
    },
    isFinite: async () => {
      assertOpen();
      return kernel.isFiniteSum(sum, count) === 1;
    },
    read: async () => {
      assertOpen();
      return Float32Array.from(numbers());
    },
    restore: async (values) => {
      assertOpen();
      numbers().set(values);
    },
    uses: counter.uses,
    dispose: async () => {
      if (!open) return;
      open = false;
      regions.free(sum);
    },
  };
}

/** Divides the workspace up for one block and writes the job into it. */
function layOut(
  { memory, crew }: KernelParts,
  workspace: Workspace,
  job: Job,
  { rowBegin, rowCount }: RowBlock,
  { sum, sumCount, sumBytes }: { readonly sum: number; readonly sumCount: number; readonly sumBytes: number },
): StripWork {
  const stripRows = stripRowCount(job, rowCount, crew.threads);
  const stripBytes = toLines(stripRows * job.columns * stagedBytes(job.dtype));
  const slots = Math.min(crew.slots, Math.ceil(rowCount / stripRows));
  const scratchPerThread = toLines(scratchBytes(job, stripRows));
  const partialBytes = job.left === 0 ? 0 : toLines(sumBytes);
  const head = toLines(jobBytes);
  const stagingBytes = slots * stripBytes + slackBytes;
  const staging = toLines(stagingBytes);
  const base = workspace.reserve(head + staging + crew.threads * scratchPerThread + (crew.threads - 1) * partialBytes);
  new Uint32Array(memory.buffer, base, jobBytes / 4).set(encodeJob(job));
  return {
    job: base,
    rowBegin,
    rowCount,
    stripRows,
    staging: base + head,
    stripBytes,
    scratch: base + head + staging,
    scratchBytes: scratchPerThread,
    sum,
    sumCount,
    partials: partialBytes === 0 ? 0 : base + head + staging + crew.threads * scratchPerThread,
    partialBytes,
  };
}

/** Rounds up to whole lines of the processor's cache, so that threads do not write to the same. */
function toLines(byteCount: number): number {
  return Math.ceil(byteCount / 64) * 64;
}

/** Copies up to `rowCount` rows of a block, from `row` on, into the kernel's memory. */
function stage(memory: WasmMemory, block: RowBlock, row: number, rowCount: number, address: number): void {
  const { bytes, dtype, columnCount } = block;
  const rowBytes = columnCount * dtypeBytes[dtype];
  const end = Math.min(block.rowCount, row + rowCount);
  const part = bytes.subarray(row * rowBytes, end * rowBytes);
  if (dtype === "F64") widen(part, dtype, new Float32Array(memory.buffer, address, (end - row) * columnCount));
  else new Uint8Array(memory.buffer, address, part.length).set(part);
}
