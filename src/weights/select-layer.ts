import { InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { type Dtype, dtypeBytes, isDtype } from "../linalg/dtype.js";
import type { LayerSpec, SelectedTensor, TensorInfo, TensorRole } from "./layer.js";
import { describeKind } from "./lora/foreign-adapters.js";
import { findAlpha, findLoraLayer, findLoraPairs, type LoraFactors } from "./lora-pairs.js";
import { type MatrixShape, toMatrixShape } from "./matrix-shape.js";
import { suggestNames } from "./nearest-names.js";
import { quoteName } from "./quote-name.js";
import { isScalar, selectWeightScale } from "./weight-scale.js";

/** Rank of a LoRA at most; ranks in use are 1 to 512, and the accumulator keeps rank · (r_U + r_V) numbers. */
export const MAX_LORA_RANK = 4096;

interface Span {
  readonly begin: number;
  readonly end: number;
}

/**
 * Selects the tensors of a model that make up a layer, with the bytes wanted of each, in the order in which they are
 * streamed: what scales comes before what is scaled (weight scale or alpha; then down, up; or the weight).
 *
 * The tensors may be a stranger's: nothing is taken for granted about shapes and types.
 *
 * @throws NotFoundError `LAYER_NOT_FOUND`, with the nearest names.
 * @throws InvalidInputError `SHAPE_MISMATCH`, `DTYPE_UNSUPPORTED`, `DUPLICATE` where several names of a file mean the
 * same layer, `FORMAT_REFUSED` for an adapter that is no product of two factors, `FIELD_INVALID` for a spec that
 * contradicts itself.
 */
export function selectLayer(tensors: ReadonlyMap<string, TensorInfo>, spec: LayerSpec): SelectedTensor[] {
  assertSpec(spec);
  return spec.kind === "lora" ? selectLora(tensors, spec) : selectDense(tensors, spec);
}

function selectDense(tensors: ReadonlyMap<string, TensorInfo>, spec: LayerSpec): SelectedTensor[] {
  const tensor = tensors.get(spec.module) ?? tensors.get(`${spec.module}.weight`);
  if (tensor === undefined) {
    const nearest = suggestNames(`${spec.module}.weight`, tensors.keys());
    const message = `The model has no tensor ${quoteName(spec.module)} or ${quoteName(`${spec.module}.weight`)}${nearest}. It may belong to another model tree.`;
    throw new NotFoundError("LAYER_NOT_FOUND", message, { module: spec.module });
  }
  const stored = toMatrixShape(tensor, spec.layout);
  const { rows, columns } = spec.shape;
  const sliced = spec.rows;
  if (spec.layout === "transposed") {
    assertExtent(tensor, "rows", stored.rows, columns, undefined);
    assertExtent(tensor, "columns", stored.columns, rows, sliced);
    const whole = { begin: 0, end: stored.rows };
    const weight = toSelected("weight", tensor, stored, whole, sliced ?? { begin: 0, end: rows });
    return [...selectWeightScale(tensors, weight.tensor, undefined), weight];
  }
  assertExtent(tensor, "rows", stored.rows, rows, sliced);
  assertExtent(tensor, "columns", stored.columns, columns, undefined);
  const span = sliced ?? { begin: 0, end: rows };
  const weight = toSelected("weight", tensor, stored, span, { begin: 0, end: columns });
  // A row of a kernel read as [in·kh·kw, out] belongs to no one output, so it has no scale of its own.
  const hasOutputRows = tensor.shape.slice(2).every((extent) => extent === 1);
  return [
    ...selectWeightScale(tensors, weight.tensor, hasOutputRows ? { ...span, of: stored.rows } : undefined),
    weight,
  ];
}

function selectLora(tensors: ReadonlyMap<string, TensorInfo>, spec: LayerSpec): SelectedTensor[] {
  const { down, up, name } = findFactors(tensors, spec.module);
  const downMatrix = toMatrixShape(down, "linear");
  const upMatrix = toMatrixShape(up, "linear");
  const rank = downMatrix.rows;
  if (rank !== upMatrix.columns || rank < 1 || rank > MAX_LORA_RANK) {
    const message = `The LoRA factors of ${quoteName(spec.module)} have the shapes [${down.shape}] and [${up.shape}]; their rank must be the same, from 1 to ${MAX_LORA_RANK}.`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { module: spec.module, rank, maxRank: MAX_LORA_RANK });
  }
  assertExtent(down, "columns", downMatrix.columns, spec.shape.columns, undefined);
  assertExtent(up, "rows", upMatrix.rows, spec.shape.rows, spec.rows);
  const upRows = spec.rows ?? { begin: 0, end: upMatrix.rows };
  const selected = [
    toSelected("lora-down", down, downMatrix, { begin: 0, end: rank }, { begin: 0, end: downMatrix.columns }),
    toSelected("lora-up", up, upMatrix, upRows, { begin: 0, end: rank }),
  ] as const;
  for (const { tensor } of selected) refuseScale(tensors, tensor);
  if (spec.loraScale === "none") return [...selected];
  const alpha = findAlpha(tensors, name);
  if (alpha !== undefined) return [selectAlpha(alpha), ...selected];
  const [first, second] = selected;
  return [first, up.loraScale === undefined ? second : { ...second, scale: up.loraScale }];
}

function findFactors(tensors: ReadonlyMap<string, TensorInfo>, module: string): LoraFactors {
  const { factors, foreign } = findLoraLayer(tensors, module);
  const [other] = foreign;
  if (other !== undefined) {
    const { kind, tensor } = other;
    const message = `Layer ${quoteName(module)} is changed by an adapter of the kind ${kind} (${quoteName(tensor)}), which makes of the weights W ${describeKind(kind)}; only LoRA, W + s·B·A, is read. Train or export it as LoRA, or merge it into its base model for an expert that reads dense layers.`;
    throw new InvalidInputError("FORMAT_REFUSED", message, { module, kind, tensor });
  }
  const [only, second] = factors;
  if (only === undefined) {
    const { pairs, foreign: others } = findLoraPairs(tensors);
    const modules = [...pairs, ...others].map((layer) => layer.module);
    const nearest = modules.length === 0 ? ", nor any LoRA layer" : suggestNames(module, modules);
    const message = `The model has no LoRA layer ${quoteName(module)}${nearest}. It may belong to another model tree.`;
    throw new NotFoundError("LAYER_NOT_FOUND", message, { module, loraLayers: pairs.length });
  }
  if (second !== undefined) {
    const message = `The model has two LoRA layers for ${quoteName(module)}: ${quoteName(only.down.name)} and ${quoteName(second.down.name)}; remove one.`;
    throw new InvalidInputError("DUPLICATE", message, { module });
  }
  return only;
}

function selectAlpha(alpha: TensorInfo): SelectedTensor {
  if (!isScalar(alpha)) {
    const message = `Tensor ${quoteName(alpha.name)} has the shape [${alpha.shape}]; an alpha is one number, [] or [1].`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { tensor: alpha.name });
  }
  const one = { begin: 0, end: 1 };
  return toSelected("lora-alpha", alpha, { rows: 1, columns: 1 }, one, one);
}

/** Scaled 8-bit factors of a LoRA are not in use; to read them without their scale would be wrong without a word. */
function refuseScale(tensors: ReadonlyMap<string, TensorInfo>, factor: TensorInfo & { dtype: Dtype }): void {
  const [scale] = selectWeightScale(tensors, factor, undefined);
  if (scale === undefined) return;
  const message = `LoRA factor ${quoteName(factor.name)} has a scale, ${quoteName(scale.tensor.name)}; scaled 8-bit factors are not read. Save it as F16.`;
  throw new InvalidInputError("DTYPE_UNSUPPORTED", message, { tensor: factor.name, dtype: factor.dtype });
}

function toSelected(
  role: TensorRole,
  tensor: TensorInfo,
  stored: MatrixShape,
  rows: Span,
  columns: Span,
): SelectedTensor {
  const { name, shape } = tensor;
  const dtype = toReadableDtype(tensor);
  const rowBytes = stored.columns * dtypeBytes[dtype];
  if (!Number.isSafeInteger(rowBytes * stored.rows)) {
    const message = `Tensor ${quoteName(name)} has the shape [${shape}], which is more than 2^53 bytes.`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { tensor: name });
  }
  return {
    role,
    tensor: { ...tensor, dtype },
    beginByte: rows.begin * rowBytes,
    endByte: rows.end * rowBytes,
    rowCount: rows.end - rows.begin,
    columnCount: stored.columns,
    columns: { begin: columns.begin, end: columns.end },
  };
}

function toReadableDtype(tensor: TensorInfo): Dtype {
  if (isDtype(tensor.dtype)) return tensor.dtype;
  const accepted = Object.keys(dtypeBytes).join(", ");
  const message = `Tensor ${quoteName(tensor.name)} has the type ${quoteName(tensor.dtype)}; accepted are ${accepted}. Save it as one of these.`;
  throw new InvalidInputError("DTYPE_UNSUPPORTED", message, { tensor: tensor.name, dtype: tensor.dtype, accepted });
}

/** One extent must be what the expert reads, or, where it reads a slice, reach to the slice's end. */
function assertExtent(
  tensor: TensorInfo,
  what: "rows" | "columns",
  found: number,
  wanted: number,
  sliced: Span | undefined,
): void {
  if (sliced === undefined ? found === wanted : found >= sliced.end) return;
  const expected = sliced === undefined ? `${wanted}` : `at least ${sliced.end}`;
  const message = `Tensor ${quoteName(tensor.name)} has the shape [${tensor.shape}], read as a matrix of ${found} ${what}; the expert reads ${expected}. It may belong to another model tree.`;
  throw new InvalidInputError("SHAPE_MISMATCH", message, { tensor: tensor.name, what, found, expected });
}

function assertSpec({ kind, layout, rows, shape, module }: LayerSpec): void {
  const sizes = [shape.rows, shape.columns, rows?.begin ?? 0, rows?.end ?? 0];
  const areSizes = sizes.every((size) => Number.isSafeInteger(size) && size >= 0);
  const fits = rows === undefined || (rows.begin < rows.end && rows.end - rows.begin === shape.rows);
  if (!areSizes || !fits || shape.rows < 1 || shape.columns < 1) {
    const slice = rows === undefined ? "all rows" : `rows ${rows.begin} to ${rows.end}`;
    const message = `The layer ${quoteName(module)} of the expert has the shape [${shape.rows}, ${shape.columns}] and reads ${slice}; these must be whole numbers that agree.`;
    throw new InvalidInputError("FIELD_INVALID", message, { module });
  }
  if (kind === "lora" && layout !== "linear") {
    const message = `The LoRA layer ${quoteName(module)} of the expert has the layout "${layout}"; the product of its factors is [out, in], so it must be "linear".`;
    throw new InvalidInputError("FIELD_INVALID", message, { module, layout });
  }
}
