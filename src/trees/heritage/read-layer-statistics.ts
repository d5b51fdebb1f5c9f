import { InvalidInputError } from "../../errors/probestream-error.js";
import { allFinite } from "../../linalg/all-finite.js";
import { type Dtype, dtypeBytes, isDtype } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import type { TensorInfo } from "../../weights/layer.js";
import type { ModelFile } from "../../weights/model-file.js";
import { selectWeightScale } from "../../weights/weight-scale.js";
import { LayerCollector, type LayerStatistics } from "./layer-statistics.js";

type FloatTensor = TensorInfo & { readonly dtype: Dtype };

/**
 * Reads every float matrix of a model once: tensors of two extents or more and of a readable type, each as its first extent by
 * the others. 8-bit weights are multiplied by their scale.
 *
 * Memory: one piece of 1 MiB and its numbers as float32, and 16 KiB per layer, however large the layers are.
 *
 * @returns in the order of the file.
 * @throws InvalidInputError `NON_FINITE` if a weight is NaN or infinite, and what `selectWeightScale` and the file throw; the
 * signal's reason.
 */
export async function readLayerStatistics(model: ModelFile, signal?: AbortSignal): Promise<LayerStatistics[]> {
  const layers: LayerStatistics[] = [];
  for (const tensor of model.tensors.values()) {
    if (isMatrix(tensor)) layers.push(await readLayer(model, tensor, signal));
  }
  return layers;
}

function isMatrix(tensor: TensorInfo): tensor is FloatTensor {
  return isDtype(tensor.dtype) && tensor.shape.length > 1 && countNumbers(tensor) > 1;
}

function countNumbers({ shape }: TensorInfo): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

async function readLayer(model: ModelFile, tensor: FloatTensor, signal?: AbortSignal): Promise<LayerStatistics> {
  const { name, shape } = tensor;
  const rows = shape[0] ?? 1;
  const collector = new LayerCollector({ name, rows, columns: countNumbers(tensor) / rows });
  const scale = await readScale(model, tensor, signal);
  for await (const values of streamNumbers(model, tensor, signal)) {
    if (!allFinite(values)) {
      const message = `Tensor "${name}" of "${model.location}" holds NaN or infinity; weights must be finite float32 numbers.`;
      throw new InvalidInputError("NON_FINITE", message, { tensor: name });
    }
    if (scale !== 1) for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * scale;
    collector.add(values);
  }
  return collector.finish();
}

async function* streamNumbers(
  model: ModelFile,
  tensor: FloatTensor,
  signal?: AbortSignal,
): AsyncGenerator<Float32Array, void, undefined> {
  const elementBytes = dtypeBytes[tensor.dtype];
  let numbers = new Float32Array(0);
  for await (const bytes of model.streamTensor(tensor.name, 0, countNumbers(tensor) * elementBytes, { signal })) {
    const count = bytes.byteLength / elementBytes;
    if (numbers.length < count) numbers = new Float32Array(count);
    widen(bytes, tensor.dtype, numbers);
    yield numbers.subarray(0, count);
  }
}

/** The one number that an 8-bit weight is multiplied by; scales of rows are refused. */
async function readScale(model: ModelFile, tensor: FloatTensor, signal?: AbortSignal): Promise<number> {
  const [selected] = selectWeightScale(model.tensors, tensor, undefined);
  if (selected === undefined) return 1;
  for await (const values of streamNumbers(model, selected.tensor, signal)) return values[0] ?? 1;
  return 1;
}
