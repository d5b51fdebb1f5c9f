import type { Tensor } from "onnxruntime-node";
import { loadOnnxRuntime, type OnnxRuntime } from "../onnx/load-onnxruntime.js";
import type { ParameterShapes, TrainShape } from "./train-shape.js";

/** Tensors by the names of a graph's inputs or outputs. */
export type Feeds = Record<string, Tensor>;

/** Loads the runtime that computes the products. Throws UnavailableError `BACKEND_UNAVAILABLE` if it does not load. */
export function loadTrainingRuntime(): Promise<OnnxRuntime> {
  return loadOnnxRuntime("training needs the package onnxruntime-node: npm install onnxruntime-node");
}

/** A tensor on numbers that stay where they are. */
export function toTensor(runtime: OnnxRuntime, values: Float32Array, shape: readonly number[]): Tensor {
  return new runtime.Tensor("float32", values, [...shape]);
}

/** Tensors on the views of a `ParameterMemory`, with `prefix` before their names. */
export function toParameterFeeds(
  runtime: OnnxRuntime,
  shapes: ParameterShapes,
  views: ReadonlyMap<string, Float32Array>,
  prefix = "",
): Feeds {
  return Object.fromEntries(
    [...shapes].map(([name, shape]) => [
      `${prefix}${name}`,
      toTensor(runtime, views.get(name) ?? new Float32Array(0), shape),
    ]),
  );
}

/** Tensors of layers as `LayerSet` reads them. */
export function toLayerFeeds(
  runtime: OnnxRuntime,
  { layer }: TrainShape,
  layers: ReadonlyMap<string, Float32Array>,
): Feeds {
  return Object.fromEntries(
    [...layers].map(([name, values]) => {
      const width = name === "up" ? layer.rows : layer.columns;
      return [name, toTensor(runtime, values, [values.length / width, width])];
    }),
  );
}
