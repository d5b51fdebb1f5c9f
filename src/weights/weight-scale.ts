import { InvalidInputError } from "../errors/probestream-error.js";
import { type Dtype, dtypeBytes, isDtype } from "../linalg/dtype.js";
import type { SelectedTensor, TensorInfo } from "./layer.js";
import { quoteName } from "./quote-name.js";

/** Types that a scale may have; a type of 8 bits would need a scale itself. */
const scaleDtypes: ReadonlySet<string> = new Set<Dtype>(["F32", "F16", "BF16"]);

/** Rows wanted of a stored matrix whose rows are the layer's outputs. */
export interface OutputRows {
  readonly begin: number;
  readonly end: number;
  /** Rows that are stored. */
  readonly of: number;
}

/**
 * Selects the scale of an 8-bit float weight: nothing for other types and where the model has none.
 *
 * All companions multiply: weight = stored · scale. `weight_scale_inv` (DeepSeek) does as well, its name says that it
 * is the inverse of the factor used in quantising. One number, or one for each stored row; scales of blocks are
 * refused.
 *
 * @param rows Rows wanted, where each may have a scale of its own; undefined where the layout rules that out.
 * @throws InvalidInputError `SHAPE_MISMATCH` for any other shape, `DTYPE_UNSUPPORTED` for a scale of an unreadable type
 * or under an unknown name, `DUPLICATE` for two scales. Scales of inputs and outputs beside a known one are passed over.
 */
export function selectWeightScale(
  tensors: ReadonlyMap<string, TensorInfo>,
  weight: TensorInfo & { readonly dtype: Dtype },
  rows: OutputRows | undefined,
): SelectedTensor[] {
  if (weight.dtype !== "F8_E4M3" && weight.dtype !== "F8_E5M2") return [];
  const module = weight.name.endsWith(".weight") ? weight.name.slice(0, -".weight".length) : weight.name;
  const names = new Set([
    `${module}.weight_scale`,
    `${weight.name}_scale`,
    `${module}.scale_weight`,
    `${module}.weight_scale_inv`,
    `${weight.name}_scale_inv`,
  ]);
  const found = [...names].map((name) => tensors.get(name)).filter((tensor) => tensor !== undefined);
  const [scale, second] = found;
  if (second !== undefined) {
    const message = `The 8-bit weight ${quoteName(weight.name)} has several scales: ${found.map(({ name }) => quoteName(name)).join(", ")}; it must have one.`;
    throw new InvalidInputError("DUPLICATE", message, { tensor: weight.name });
  }
  assertNoOtherScale(tensors, { weight, module, names, hasScale: scale !== undefined });
  return scale === undefined ? [] : [toSelectedScale(scale, weight, rows)];
}

/** Whether a tensor is one number: [], [1] or [1, 1]. */
export function isScalar(tensor: TensorInfo): boolean {
  return tensor.shape.length <= 2 && tensor.shape.every((extent) => extent === 1);
}

function toSelectedScale(scale: TensorInfo, weight: TensorInfo, rows: OutputRows | undefined): SelectedTensor {
  const { name, dtype, shape } = scale;
  if (!isDtype(dtype) || !scaleDtypes.has(dtype)) {
    const accepted = [...scaleDtypes].join(", ");
    const message = `The scale ${quoteName(name)} has the type ${quoteName(dtype)}; accepted are ${accepted}. Save the model as F16 or BF16.`;
    throw new InvalidInputError("DTYPE_UNSUPPORTED", message, { tensor: name, dtype, accepted });
  }
  const [count, width] = shape;
  const isPerRow = shape.length <= 2 && (width ?? 1) === 1 && rows !== undefined && count === rows.of;
  if (!isScalar(scale) && !isPerRow) {
    const perRow = rows === undefined ? "" : `, or one for each row, [${rows.of}] or [${rows.of}, 1]`;
    const message = `The scale ${quoteName(name)} has the shape [${shape}]; ${quoteName(weight.name)} can be read with one number${perRow}. Save the model as F16 or BF16.`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { tensor: name });
  }
  const { begin, end } = isScalar(scale) || rows === undefined ? { begin: 0, end: 1 } : rows;
  return {
    role: "weight-scale",
    tensor: { name, dtype, shape },
    beginByte: begin * dtypeBytes[dtype],
    endByte: end * dtypeBytes[dtype],
    rowCount: end - begin,
    columnCount: 1,
    columns: { begin: 0, end: 1 },
  };
}

/** A weight, and what it may be scaled by. */
interface ScaledWeight {
  readonly weight: TensorInfo;
  /** Its name without `.weight`; the same where it has no such end. */
  readonly module: string;
  /** Names that are understood. */
  readonly names: ReadonlySet<string>;
  /** Whether there is a tensor of one of them. */
  readonly hasScale: boolean;
}

/** What follows a module's name in that of a tensor of its own: `.qscale`, `_scale`, but not `.sub.scale`. */
const directScale = /^[._][^.]*scale[^.]*$/i;

/** What follows a weight's name in that of a tensor of its own, at any depth: nothing else lies below a weight. */
const scaleBelow = /^\.(?:[^.]*\.)*[^.]*scale[^.]*$/i;

/** The same where an underscore joins them: `_quantizer._scale`. */
const scaleBeside = /^_(?:[^.]*\.)*[^.]*scale[^.]*$/i;

/**
 * To read a scaled weight without its scale would be wrong without a word, so any tensor of the weight or its module
 * with "scale" in the last part of its name counts.
 */
function assertNoOtherScale(tensors: ReadonlyMap<string, TensorInfo>, scaled: ScaledWeight): void {
  const { weight, module, names } = scaled;
  for (const name of tensors.keys()) {
    if (!name.startsWith(module) || names.has(name) || !isOtherScale(name, scaled)) continue;
    const message = `The 8-bit weight ${quoteName(weight.name)} has a companion ${quoteName(name)}, whose meaning is unknown; a scale is called weight_scale, weight_scale_inv or scale_weight. Save the model as F16 or BF16.`;
    throw new InvalidInputError("DTYPE_UNSUPPORTED", message, { tensor: weight.name, companion: name });
  }
}

function isOtherScale(name: string, { weight, module, hasScale }: ScaledWeight): boolean {
  const isModule = weight.name === module;
  // A module with a known scale may have others that are not the weight's: input_scale, output_scale.
  if (!hasScale && directScale.test(name.slice(module.length))) return true;
  if (!name.startsWith(weight.name) || (isModule && hasScale)) return false;
  const rest = name.slice(weight.name.length);
  // Beside a weight of the module's own name stand other modules: `attn_norm.scale` beside `attn`.
  return scaleBelow.test(rest) || (!isModule && scaleBeside.test(rest));
}
