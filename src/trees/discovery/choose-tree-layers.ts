import { InvalidInputError, NotFoundError } from "../../errors/probestream-error.js";
import { isDtype } from "../../linalg/dtype.js";
import type { LayerSpec, TensorInfo } from "../../weights/layer.js";
import { findLoraPairs, type LoraPair } from "../../weights/lora-pairs.js";
import { toMatrixShape } from "../../weights/matrix-shape.js";
import { suggestNames } from "../../weights/nearest-names.js";
import { quoteName } from "../../weights/quote-name.js";

type Tensors = ReadonlyMap<string, TensorInfo>;

/** Rows and columns of a matrix that tells trees apart at least: a norm, a bias, a position does not. */
const leastExtent = 8;
/** 4096 × 4096: a larger matrix is read longer and tells no more, so one is taken only where there is no other. */
const mostNumbers = 2 ** 24;
/** LoRA modules that are compared at most: deltas say less of their tree than weights, and are small. */
const mostModules = 8;

/**
 * Chooses the layers by which models of one signature are compared.
 *
 * Dense: one matrix, the middle one by name of those of the shape that holds most of the model's weights (matrices of
 * more than 2^24 numbers only where there are no others). LoRA: up to eight modules spread evenly over all, by name.
 *
 * @param layer name of a module or tensor that is to be taken instead.
 * @throws NotFoundError `LAYER_NOT_FOUND` if the model has no such layer; InvalidInputError `SHAPE_MISMATCH` for a layer
 * that is no matrix, or a model that has none.
 */
export function chooseTreeLayers(tensors: Tensors, layer?: string): LayerSpec[] {
  const { pairs } = findLoraPairs(tensors);
  if (layer !== undefined) return [toNamedLayer(tensors, pairs, layer)];
  const chosen = pairs.length > 0 ? spread(pairs.filter(isLinear).map(toLora)) : chooseMiddle([...tensors.values()]);
  if (chosen.length > 0) return chosen;
  const message = `The model has no matrix of ${leastExtent} rows and columns or more that can be read; trees are told apart by one.`;
  throw new InvalidInputError("SHAPE_MISMATCH", message, { tensors: tensors.size });
}

function toNamedLayer(tensors: Tensors, pairs: readonly LoraPair[], layer: string): LayerSpec {
  const pair = pairs.find(({ module }) => module === layer);
  if (pair !== undefined) return toLora(pair);
  const tensor = tensors.get(`${layer}.weight`) ?? tensors.get(layer);
  if (tensor !== undefined) return toDense(tensor);
  const names = pairs.length > 0 ? pairs.map(({ module }) => module) : [...tensors.keys()];
  const message = `The model has no layer ${quoteName(layer)}${suggestNames(layer, names)}.`;
  throw new NotFoundError("LAYER_NOT_FOUND", message, { layer });
}

function toLora({ module, inWidth, outWidth }: LoraPair): LayerSpec {
  const shape = { rows: outWidth, columns: inWidth };
  return { module, kind: "lora", layout: "linear", loraScale: "none", shape };
}

/** Kernels of several numbers are no matrices as they lie there. */
function isLinear({ down }: LoraPair): boolean {
  return down.shape.slice(2).every((extent) => extent === 1);
}

function toDense(tensor: TensorInfo): LayerSpec {
  const layout = tensor.shape.length === 4 ? "conv" : "linear";
  const { rows, columns } = toMatrixShape(tensor, layout);
  return { module: tensor.name, kind: "dense", layout, loraScale: "none", shape: { rows, columns } };
}

function chooseMiddle(tensors: readonly TensorInfo[]): LayerSpec[] {
  const matrices = tensors
    .filter(({ dtype, shape }) => isDtype(dtype) && (shape.length === 2 || shape.length === 4))
    .map(toDense)
    .filter(({ shape: { rows, columns } }) => Math.min(rows, columns) >= leastExtent);
  const small = matrices.filter((layer) => toNumbers(layer) <= mostNumbers);
  const shapes = new Map<string, LayerSpec[]>();
  for (const layer of small.length > 0 ? small : matrices) {
    const key = `${layer.shape.rows} ${layer.shape.columns}`;
    shapes.set(key, [...(shapes.get(key) ?? []), layer]);
  }
  const [most = []] = [...shapes.values()].sort((a, b) => toTotal(b) - toTotal(a) || byName(a[0], b[0]));
  const middle = most.sort(byName)[Math.floor(most.length / 2)];
  return middle === undefined ? [] : [middle];
}

function spread(layers: readonly LayerSpec[]): LayerSpec[] {
  const sorted = [...layers].sort(byName);
  const count = Math.min(mostModules, sorted.length);
  return sorted.filter(
    (_, index) =>
      Math.floor(((index + 0.5) * count) / sorted.length) > Math.floor(((index - 0.5) * count) / sorted.length),
  );
}

const collator = new Intl.Collator("en", { numeric: true });

/** `blocks.10` after `blocks.9`. */
function byName(a: LayerSpec | undefined, b: LayerSpec | undefined): number {
  return collator.compare(a?.module ?? "", b?.module ?? "");
}

function toNumbers({ shape: { rows, columns } }: LayerSpec): number {
  return rows * columns;
}

function toTotal(layers: readonly LayerSpec[]): number {
  return layers.reduce((sum, layer) => sum + toNumbers(layer), 0);
}
