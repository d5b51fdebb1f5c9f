import type { LayerMatrices } from "../projection/accumulator.js";
import { createRangeReader } from "../projection/range-reader.js";
import { sliceColumns } from "../projection/slice-columns.js";
import { toStoredMatrix } from "../projection/stored-matrix.js";
import type { SketchKernel } from "../trees/sketch-kernel.js";
import type { LayerSpec } from "../weights/layer.js";
import type { ModelFile } from "../weights/model-file.js";
import { selectLayer } from "../weights/select-layer.js";
import { createLayerSketch } from "./layer-sketch.js";

/**
 * Sketches the dense layer of a model that an expert reads, piece by piece; undefined for LoRA layers.
 *
 * @returns blocks × 64 numbers.
 * @throws as `selectLayer` and the file.
 */
export async function sketchModel(
  model: ModelFile,
  spec: LayerSpec,
  kernel: SketchKernel,
  signal?: AbortSignal,
): Promise<Float32Array | undefined> {
  const selected = selectLayer(model.tensors, spec).map((one) => ({ ...one, matrix: toStoredMatrix(one) }));
  const matrices: LayerMatrices = Object.fromEntries(selected.map(({ role, matrix }) => [role, matrix]));
  const layer = createLayerSketch(kernel, matrices);
  if (layer === undefined) return undefined;
  for (const { role, tensor, matrix, beginByte, endByte } of selected) {
    const times = { digestMs: 0, projectMs: 0 };
    const reader = createRangeReader(
      matrix,
      async (block) => layer.add(role, sliceColumns(block, matrix.columns)),
      times,
    );
    for await (const bytes of model.streamTensor(tensor.name, beginByte, endByte, { signal })) {
      await reader.accept(bytes, async () => {});
    }
  }
  return Float32Array.from(layer.sketch.values);
}
