import { toProbestreamError } from "../errors/plain-error.js";
import type { Expert } from "../experts/expert.js";
import { bitsOf, countElements } from "../weights/dtype-bits.js";
import type { TensorInfo } from "../weights/layer.js";
import { type ForeignLayer, findLoraPairs, type LoraPair } from "../weights/lora-pairs.js";
import type { ModelFile } from "../weights/model-file.js";
import { selectLayer } from "../weights/select-layer.js";

/** A tensor with the bytes it takes. */
export interface SizedTensor extends TensorInfo {
  readonly bytes: number;
}

/** Whether an expert finds its layer in a model. */
export interface Fit {
  readonly expert: string;
  readonly spaceId: string;
  readonly fits: boolean;
  readonly reason?: string;
  readonly message?: string;
}

/** What a model's header says. */
export interface ModelDescription {
  readonly file: string;
  /** Of all tensors. */
  readonly bytes: number;
  readonly parameters: number;
  readonly tensors: readonly SizedTensor[];
  readonly lora: readonly LoraPair[];
  readonly unpaired: readonly string[];
  /** Layers of adapters that are no products of two factors, and are not read. */
  readonly foreign: readonly ForeignLayer[];
  readonly metadata: ReadonlyMap<string, string>;
  /** Empty unless experts were given. */
  readonly experts: readonly Fit[];
}

/** Describes a model by its header; no weights are read. */
export function describeModel(model: ModelFile, experts: readonly Expert[]): ModelDescription {
  const tensors = [...model.tensors.values()].map((tensor) => ({ ...tensor, bytes: bytesOf(tensor) }));
  const { pairs, unpaired, foreign } = findLoraPairs(model.tensors);
  return {
    file: model.location,
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    parameters: tensors.reduce((sum, { shape }) => sum + (countElements(shape) ?? 0), 0),
    tensors,
    lora: pairs,
    unpaired: unpaired.map(({ name }) => name),
    foreign,
    metadata: model.metadata,
    experts: experts.map((expert) => toFit(model, expert)),
  };
}

function toFit({ tensors }: ModelFile, { name, spaceId, layer }: Expert): Fit {
  try {
    selectLayer(tensors, layer);
    return { expert: name, spaceId, fits: true };
  } catch (error) {
    const { reason, message } = toProbestreamError(error);
    return { expert: name, spaceId, fits: false, reason, message };
  }
}

function bytesOf({ dtype, shape }: TensorInfo): number {
  return ((countElements(shape) ?? 0) * (bitsOf(dtype) ?? 0)) / 8;
}
