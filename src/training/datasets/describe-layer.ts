import type { LayerSpec, TensorInfo } from "../../weights/layer.js";
import { findLoraLayer } from "../../weights/lora-pairs.js";
import { toMatrixShape } from "../../weights/matrix-shape.js";

/** Which layer of a model is meant, whatever its shape. */
export type LayerRule = Omit<LayerSpec, "shape">;

/**
 * The layer as a model has it: the rule with the shape found. Of a layer that is not there it is 1 × 1:
 * `selectLayer` refuses that with the nearest names.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` if the layout has no reading for the tensor.
 */
export function describeLayer(tensors: ReadonlyMap<string, TensorInfo>, rule: LayerRule): LayerSpec {
  const whole = rule.kind === "lora" ? toLoraShape(tensors, rule) : toDenseShape(tensors, rule);
  const rows = rule.rows === undefined ? whole.rows : rule.rows.end - rule.rows.begin;
  return { ...rule, shape: { rows, columns: whole.columns } };
}

function toLoraShape(tensors: ReadonlyMap<string, TensorInfo>, { module }: LayerRule): LayerSpec["shape"] {
  const [found] = findLoraLayer(tensors, module).factors;
  const [rows = 1] = found?.up.shape ?? [];
  const [, ...input] = found?.down.shape ?? [];
  return { rows, columns: input.reduce((product, extent) => product * extent, 1) };
}

function toDenseShape(tensors: ReadonlyMap<string, TensorInfo>, { module, layout }: LayerRule): LayerSpec["shape"] {
  const tensor = tensors.get(module) ?? tensors.get(`${module}.weight`);
  if (tensor === undefined) return { rows: 1, columns: 1 };
  const { rows, columns } = toMatrixShape(tensor, layout);
  return layout === "transposed" ? { rows: columns, columns: rows } : { rows, columns };
}
