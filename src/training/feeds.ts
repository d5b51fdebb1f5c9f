import { Tensor } from "onnxruntime-node";
import type { ParameterShapes, TrainShape } from "./train-shape.js";

/** Tensors by the names of a graph's inputs or outputs. */
export type Feeds = Record<string, Tensor>;

/** A tensor on numbers that stay where they are. */
export function toTensor(values: Float32Array, shape: readonly number[]): Tensor {
  return new Tensor("float32", values, [...shape]);
}

/** Tensors on the views of a `ParameterMemory`, with `prefix` before their names. */
export function toParameterFeeds(
  shapes: ParameterShapes,
  views: ReadonlyMap<string, Float32Array>,
  prefix = "",
): Feeds {
  return Object.fromEntries(
    [...shapes].map(([name, shape]) => [`${prefix}${name}`, toTensor(views.get(name) ?? new Float32Array(0), shape)]),
  );
}

/** Tensors of layers as `LayerSet` reads them. */
export function toLayerFeeds({ layer }: TrainShape, layers: ReadonlyMap<string, Float32Array>): Feeds {
  return Object.fromEntries(
    [...layers].map(([name, values]) => {
      const width = name === "up" ? layer.rows : layer.columns;
      return [name, toTensor(values, [values.length / width, width])];
    }),
  );
}
