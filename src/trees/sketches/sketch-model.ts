import { InvalidInputError } from "../../errors/probestream-error.js";
import { scaleRows } from "../../linalg/scale-rows.js";
import type { LayerSpec, TensorRole } from "../../weights/layer.js";
import type { ModelFile } from "../../weights/model-file.js";
import { readRows } from "../../weights/read-rows.js";
import { selectLayer } from "../../weights/select-layer.js";
import { type Rows, streamRows } from "../../weights/stream-rows.js";
import { foldSketch } from "./fold-sketch.js";
import { SKETCH_BUCKETS, type Sketch } from "./sketch.js";
import { openSketchKernel } from "./sketch-kernel.js";
import { addMoments } from "./sketch-moments.js";

/** Options of {@link sketchModel}. */
export interface SketchOptions {
  /** Row blocks of the sketch at most, 128 or less. */
  readonly blocks: number;
  readonly signal?: AbortSignal | undefined;
  /** Sees the rows of a dense layer as they pass, scaled as they are sketched: they are read only once. */
  readonly onRows?: ((rows: Rows) => void) | undefined;
}

/** What a model is compared by. */
export interface ModelSketch {
  /** blocks × 64, fewer blocks where a dense layer has fewer rows; as many numbers for every model of a signature. */
  readonly values: Float64Array;
  /** Bytes of weights that were read. */
  readonly bytes: number;
}

/**
 * Sketches a model by some of its layers while they stream: a dense one as S·X·R, LoRA ones by the second moments of
 * their deltas (see `addMoments`), all of them in one sum.
 *
 * Memory: a block of a dense layer; the factors of one LoRA layer.
 *
 * @param layers as `chooseTreeLayers` gives them.
 * @throws InvalidInputError `NON_FINITE`, `FIELD_INVALID` for LoRA layers that are all 0; what `selectLayer` and the file
 * throw.
 */
export async function sketchModel(
  model: ModelFile,
  layers: readonly LayerSpec[],
  options: SketchOptions,
): Promise<ModelSketch> {
  const [first] = layers;
  const sketch = await (first?.kind === "dense"
    ? sketchDense(model, first, options)
    : sketchLora(model, layers, options));
  if (sketch.values.every((value) => Math.abs(value) < largest)) return sketch;
  const message = `"${model.location}" has weights beyond ${largest}, whose squares are no float32 numbers. Repair the model or leave it out.`;
  throw new InvalidInputError("NON_FINITE", message, { file: model.location });
}

/** Sketches are squared and summed up in float32. */
const largest = 1e16;

async function sketchDense(
  model: ModelFile,
  layer: LayerSpec,
  { blocks, signal, onRows }: SketchOptions,
): Promise<ModelSketch> {
  let bytes = 0;
  const kernel = await openSketchKernel();
  let sketch: Sketch | undefined;
  let scales: Float32Array = Float32Array.of(1);
  for (const selected of selectLayer(model.tensors, layer)) {
    bytes += selected.endByte - selected.beginByte;
    if (selected.role === "weight-scale") {
      scales = await readRows(model, selected, signal);
      continue;
    }
    const { rowCount, columns } = selected;
    sketch = kernel.create({ rowCount, columnCount: columns.end - columns.begin });
    for await (const rows of streamRows(model, selected, signal)) {
      scaleRows(rows.values, columns.end - columns.begin, scales, rows.rowBegin);
      onRows?.(rows);
      const { values } = rows;
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      sketch.add({ ...rows, bytes, dtype: "F32" });
    }
  }
  return { values: foldSketch(sketch?.values ?? new Float64Array(0), blocks), bytes };
}

async function sketchLora(
  model: ModelFile,
  layers: readonly LayerSpec[],
  { blocks, signal }: SketchOptions,
): Promise<ModelSketch> {
  let bytes = 0;
  const { gram } = await openSketchKernel();
  const sum = new Float64Array(blocks * SKETCH_BUCKETS);
  let used = 0;
  for (const [index, layer] of layers.entries()) {
    const factors = new Map<TensorRole, Float32Array>();
    let rank = 1;
    for (const selected of selectLayer(model.tensors, layer)) {
      bytes += selected.endByte - selected.beginByte;
      factors.set(selected.role, await readRows(model, selected, signal));
      if (selected.role === "lora-down") rank = selected.rowCount;
    }
    const [down, up] = [factors.get("lora-down"), factors.get("lora-up")];
    if (down !== undefined && up !== undefined && addMoments(sum, blocks, index, { rank, down, up }, gram)) used++;
  }
  if (used > 0) return { values: sum, bytes };
  const message = `"${model.location}" changes nothing: its LoRA layers are 0. Nothing tells which tree it is of.`;
  throw new InvalidInputError("FIELD_INVALID", message, { file: model.location });
}
