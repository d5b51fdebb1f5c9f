import type { Matrix } from "../compute-backend.js";
import type { DeviceMatrix, GpuDevice } from "./gpu-device.js";

/** Rows of a side that lie in one matrix of the device. */
export interface Panel<M extends DeviceMatrix> {
  /** Row of the side that is the first of `matrix`. */
  readonly begin: number;
  readonly matrix: M;
}

/** A side of a product, in as many matrices as the device needs for its height. */
export interface PanelledSide<M extends DeviceMatrix> {
  readonly rows: number;
  readonly columns: number;
  readonly bytes: number;
  readonly panels: readonly Panel<M>[];
  free(): void;
}

/** Copies L or R to a device. */
export async function uploadPanels<M extends DeviceMatrix>(
  device: GpuDevice<M>,
  { rows, columns, values }: Matrix,
  side: "left" | "right",
): Promise<PanelledSide<M>> {
  const panels: Panel<M>[] = [];
  const free = (): void => {
    for (const { matrix } of panels) matrix.free();
  };
  try {
    for (let begin = 0; begin < rows; begin += device.maxRows) {
      const count = Math.min(device.maxRows, rows - begin);
      const part = { rows: count, columns, values: values.subarray(begin * columns, (begin + count) * columns) };
      panels.push({ begin, matrix: await device.uploadSide(part, side) });
    }
  } catch (error) {
    free();
    throw error;
  }
  return { rows, columns, bytes: panels.reduce((sum, { matrix }) => sum + matrix.bytes, 0), panels, free };
}

/** Part of a block that meets one panel of L and one of R. */
export interface BlockPart<M extends DeviceMatrix> {
  readonly left: M | undefined;
  readonly right: M | undefined;
  /** Row of the panel of L, or of the sum where there is no L, that the part's first row belongs to. */
  readonly rowBegin: number;
  readonly rowCount: number;
  readonly columnCount: number;
  readonly values: Float32Array;
}

/** Cuts a block where the panels of L and R do; the sum is linear in the parts. One that fits is not copied. */
export function* toParts<M extends DeviceMatrix>(
  block: { readonly rowBegin: number; readonly rowCount: number; readonly columnCount: number },
  values: Float32Array,
  left: PanelledSide<M> | undefined,
  right: PanelledSide<M> | undefined,
): Generator<BlockPart<M>, void, undefined> {
  const { rowBegin, rowCount, columnCount } = block;
  const rowPanels = left?.panels ?? [{ begin: 0, matrix: undefined }];
  const columnPanels = right?.panels ?? [{ begin: 0, matrix: undefined }];
  for (const rows of rowPanels) {
    const first = Math.max(rowBegin, rows.begin);
    const end = Math.min(rowBegin + rowCount, rows.begin + (rows.matrix?.rows ?? Number.POSITIVE_INFINITY));
    if (first >= end) continue;
    for (const columns of columnPanels) {
      const width = columns.matrix?.rows ?? columnCount;
      yield {
        left: rows.matrix,
        right: columns.matrix,
        rowBegin: first - rows.begin,
        rowCount: end - first,
        columnCount: width,
        values: cut(values, columnCount, { first: first - rowBegin, end: end - rowBegin }, columns.begin, width),
      };
    }
  }
}

/** Rows and columns of a row-major matrix: a view where all columns are wanted. */
function cut(
  values: Float32Array,
  stride: number,
  rows: { readonly first: number; readonly end: number },
  column: number,
  width: number,
): Float32Array {
  if (width === stride) return values.subarray(rows.first * stride, rows.end * stride);
  const part = new Float32Array((rows.end - rows.first) * width);
  for (let row = rows.first; row < rows.end; row++) {
    const from = row * stride + column;
    part.set(values.subarray(from, from + width), (row - rows.first) * width);
  }
  return part;
}
