import { InvalidInputError } from "../../errors/probestream-error.js";
import { transpose } from "../../linalg/transpose.js";
import { widen } from "../../linalg/widen.js";
import { sliceColumns } from "../../projection/slice-columns.js";
import type { LayerSpec, SelectedTensor, TensorRole } from "../../weights/layer.js";
import type { ModelFile } from "../../weights/model-file.js";
import { selectLayer } from "../../weights/select-layer.js";

/** A matrix of float32 numbers, row-major. */
interface Numbers {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/**
 * Reads one layer of a model whole, as the inputs of a training graph: `X` [d_H, d_W], or `down` (A) [rank, d_W] and
 * `up` (s·Bᵀ) [rank, d_H], with s = alpha / rank, or as the adapter's configuration says, where the layer's
 * rule is `apply`.
 *
 * Memory: the layer's bytes and its numbers as float32.
 *
 * @throws InvalidInputError `NON_FINITE` with tensor, row and column, and what `selectLayer` and the file throw.
 */
export async function readLayer(
  model: ModelFile,
  spec: LayerSpec,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Float32Array>> {
  const found = new Map<TensorRole, Numbers>();
  let scale = 1;
  for (const selected of selectLayer(model.tensors, spec)) {
    scale *= selected.scale ?? 1;
    found.set(selected.role, await readNumbers(model, selected, signal));
  }
  const [weight, down, up] = (["weight", "lora-down", "lora-up"] as const).map((role) => found.get(role));
  if (weight !== undefined) {
    scaleRows(weight, found.get("weight-scale")?.values ?? Float32Array.of(1));
    return new Map([["X", (spec.layout === "transposed" ? transpose(weight) : weight).values]]);
  }
  if (down === undefined || up === undefined) return new Map();
  const alpha = found.get("lora-alpha")?.values[0];
  scaleRows(up, Float32Array.of(alpha === undefined ? scale : alpha / down.rows));
  return new Map([
    ["down", down.values],
    ["up", transpose(up).values],
  ]);
}

async function readNumbers(model: ModelFile, selected: SelectedTensor, signal?: AbortSignal): Promise<Numbers> {
  const { tensor, beginByte, endByte, rowCount, columnCount, columns } = selected;
  const bytes = new Uint8Array(endByte - beginByte);
  let at = 0;
  for await (const piece of model.streamTensor(tensor.name, beginByte, endByte, { signal })) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  const block = sliceColumns({ bytes, dtype: tensor.dtype, rowBegin: 0, rowCount, columnCount }, columns);
  const values = new Float32Array(rowCount * block.columnCount);
  widen(block.bytes, block.dtype, values);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    const [row, column] = [Math.floor(wrong / block.columnCount), wrong % block.columnCount];
    throw new InvalidInputError(
      "NON_FINITE",
      `tensor "${tensor.name}" has ${values[wrong]} at row ${row}, column ${column} of what is read; weights must be finite float32 numbers`,
      { tensor: tensor.name, row, column, value: String(values[wrong]) },
    );
  }
  return { rows: rowCount, columns: block.columnCount, values };
}

/** Multiplies rows in place, each by its own factor or all by one. */
function scaleRows({ rows, columns, values }: Numbers, factors: Float32Array): void {
  if (factors.length === 1 && factors[0] === 1) return;
  for (let row = 0; row < rows; row++) {
    const factor = factors[factors.length === 1 ? 0 : row] as number;
    for (let i = row * columns; i < (row + 1) * columns; i++) values[i] = (values[i] as number) * factor;
  }
}
