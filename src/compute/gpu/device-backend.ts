import { dtypeBytes } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import type { ComputeBackend, Matrix, Product, ProductSides, RowBlock, RunningSum } from "../compute-backend.js";
import { assertBlockFits, toSumShape } from "../product-shape.js";
import { createUseCounter } from "../use-counter.js";
import { type DeviceMatrix, type GpuDevice, toFours } from "./gpu-device.js";
import { notAvailable } from "./gpu-js.js";
import { type PanelledSide, toParts, uploadPanels } from "./panels.js";

/** A backend on one device, in this thread. */
export function createDeviceBackend<M extends DeviceMatrix>(device: GpuDevice<M>): ComputeBackend {
  return {
    name: "gpu",
    device: device.description,
    isVolatile: true,
    load: (sides) => createProduct(device, sides),
    dispose: () => device.dispose(),
  };
}

async function createProduct<M extends DeviceMatrix>(
  device: GpuDevice<M>,
  { left, right }: ProductSides,
): Promise<Product> {
  for (const side of [left, right]) if (side !== undefined) assertFits(device, side);
  const l = left && (await uploadPanels(device, left, "left"));
  const r =
    right &&
    (await uploadPanels(device, right, "right").catch((error: unknown) => {
      l?.free();
      throw error;
    }));
  // Closures keep all that they name: only the shapes are needed from here on.
  const shapes = { left: toExtents(l), right: toExtents(r) };
  return {
    residentBytes: (l?.bytes ?? 0) + (r?.bytes ?? 0),
    open: (x) => createSum(device, l, r, x, toSumShape(shapes, x)),
    dispose: async () => {
      l?.free();
      r?.free();
    },
  };
}

function toExtents(
  matrix: { readonly rows: number; readonly columns: number } | undefined,
): { rows: number; columns: number } | undefined {
  return matrix && { rows: matrix.rows, columns: matrix.columns };
}

function assertFits(
  { maxNumbers, maxRows, description }: GpuDevice<DeviceMatrix>,
  matrix: Omit<Matrix, "values">,
): void {
  const rows = Math.min(matrix.rows, maxRows);
  const { columns } = matrix;
  if (rows * 4 * toFours(columns) <= maxNumbers) return;
  throw notAvailable(`a matrix of ${rows} × ${columns} is larger than the ${maxNumbers} numbers of ${description}`);
}

function createSum<M extends DeviceMatrix>(
  device: GpuDevice<M>,
  left: PanelledSide<M> | undefined,
  right: PanelledSide<M> | undefined,
  x: { readonly rows: number; readonly columns: number },
  { rows, columns }: { readonly rows: number; readonly columns: number },
): RunningSum {
  if (rows > device.maxRows) {
    throw notAvailable(`a sum of ${rows} rows is taller than the ${device.maxRows} of ${device.description}`);
  }
  assertFits(device, { rows, columns });
  const zero = (): Matrix => ({ rows, columns, values: new Float32Array(rows * columns) });
  let scratch = new Float32Array(0);
  let sum: M | undefined;
  const counter = createUseCounter({ name: "gpu", device: device.description });
  const current = async (): Promise<M> => {
    sum ??= await device.uploadSum(zero());
    return sum;
  };
  const read = async (): Promise<Float32Array> => (sum === undefined ? zero().values : device.read(sum));
  /** The block's numbers as float32: a view where they are that already, else in one buffer per sum. */
  const toFloat32 = ({ bytes, dtype }: RowBlock, count: number): Float32Array => {
    if (dtype === "F32" && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, count);
    if (scratch.length < count) scratch = new Float32Array(count);
    const target = scratch.subarray(0, count);
    widen(bytes, dtype, target);
    return target;
  };
  return {
    rows,
    columns,
    finiteAtRead: true,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const { rowCount, columnCount } = block;
      assertFits(device, { rows: rowCount, columns: Math.max(columnCount, columns) });
      const values = toFloat32(block, rowCount * columnCount);
      for (const part of toParts(block, values, left, right)) sum = await device.add({ sum: await current(), ...part });
      counter.add(rowCount);
    },
    isFinite: async () => (await read()).every(Number.isFinite),
    read,
    restore: async (values) => {
      sum?.free();
      sum = undefined;
      sum = await device.uploadSum({ rows, columns, values });
    },
    uses: counter.uses,
    dispose: async () => {
      sum?.free();
      sum = undefined;
    },
  };
}
