import { InvalidInputError } from "../errors/probestream-error.js";
import { countElements } from "./dtype-bits.js";
import type { LayerSpec, TensorInfo } from "./layer.js";
import { quoteName } from "./quote-name.js";

/** Extents of a tensor read as a matrix. */
export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
}

/**
 * A tensor's shape read as the stored matrix of a layout (see `LayerSpec.layout`); `transposed` is read as it is
 * stored.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` if the layout has no reading for it.
 */
export function toMatrixShape(tensor: TensorInfo, layout: LayerSpec["layout"]): MatrixShape {
  const matrix = countElements(tensor.shape) === undefined ? undefined : readers[layout](tensor.shape);
  if (matrix !== undefined) return matrix;
  const message = `Tensor ${quoteName(tensor.name)} has the shape [${tensor.shape}]; the layout "${layout}" reads ${readings[layout]}.`;
  throw new InvalidInputError("SHAPE_MISMATCH", message, { tensor: tensor.name, layout });
}

const readings: Record<LayerSpec["layout"], string> = {
  linear: "[out, in], [out, in, 1] or [out, in, 1, 1]",
  transposed: "[in, out]",
  conv: "[out, in, kh, kw]",
  vector: "[n]",
};

const readers: Record<LayerSpec["layout"], (shape: readonly number[]) => MatrixShape | undefined> = {
  linear([rows, columns, ...kernel]) {
    if (rows === undefined || columns === undefined || kernel.length > 2) return undefined;
    return kernel.every((extent) => extent === 1) ? { rows, columns } : undefined;
  },
  transposed([rows, columns, ...more]) {
    return rows === undefined || columns === undefined || more.length > 0 ? undefined : { rows, columns };
  },
  conv(shape) {
    const [out, input, height, width] = shape;
    if (shape.length !== 4 || out === undefined || input === undefined) return undefined;
    if (height === undefined || width === undefined) return undefined;
    const kernel = height * width;
    return kernel === 1 ? { rows: out, columns: input } : { rows: input * kernel, columns: out };
  },
  vector(shape) {
    const [rows] = shape;
    return rows === undefined || shape.length > 1 ? undefined : { rows, columns: 1 };
  },
};
