import { scaleRows } from "../../linalg/scale-rows.js";
import { transpose } from "../../linalg/transpose.js";
import type { LayerSpec, TensorRole } from "../../weights/layer.js";
import type { ModelFile } from "../../weights/model-file.js";
import { readRows } from "../../weights/read-rows.js";
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
    const { role, rowCount: rows, columns } = selected;
    const values = await readRows(model, selected, signal);
    found.set(role, { rows, columns: columns.end - columns.begin, values });
  }
  const [weight, down, up] = (["weight", "lora-down", "lora-up"] as const).map((role) => found.get(role));
  if (weight !== undefined) {
    scaleRows(weight.values, weight.columns, found.get("weight-scale")?.values ?? Float32Array.of(1));
    return new Map([["X", (spec.layout === "transposed" ? transpose(weight) : weight).values]]);
  }
  if (down === undefined || up === undefined) return new Map();
  const alpha = found.get("lora-alpha")?.values[0];
  scaleRows(up.values, up.columns, Float32Array.of(alpha === undefined ? scale : alpha / down.rows));
  return new Map([
    ["down", down.values],
    ["up", transpose(up).values],
  ]);
}
