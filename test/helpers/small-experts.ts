import { join } from "node:path";
import type { Matrix } from "../../src/compute/compute-backend.js";
import type { TensorData } from "../../src/weights/safetensors-writer.js";
import type { TestModel } from "./embed-client.js";
import { createExpertParameters, type ExpertParameters, toTensor, writeExpert } from "./expert-folder.js";
import { exactCosine, exactLinear, exactResponses } from "./oracle.js";
import { randomMatrix } from "./random.js";

/** Rows and columns of the layer that the small experts read, `m.fc`. */
export const smallLayer = { rows: 12, columns: 10 };

/** A dense zero-shot expert for {@link smallLayer}. */
export const smallExpert: ExpertParameters = createExpertParameters({ ...smallLayer, seed: 11 });

/** Writes the small expert as the folder `small` and gives its path. */
export function writeSmallExpert(root: string): Promise<string> {
  return writeExpert(join(root, "small"), smallExpert);
}

/** The layer of the small model with this seed. */
export function smallWeights(seed: number): Matrix {
  return randomMatrix(smallLayer.rows, smallLayer.columns, 1000 + seed);
}

/** A model that has the layer, and another one. */
export function smallModel(seed: number, weight: TensorData = toTensor("m.fc.weight", smallWeights(seed))): TestModel {
  return {
    modelId: `model ${seed}`,
    tensors: [toTensor("m.other.weight", randomMatrix(2, 2, 1)), weight],
    experts: ["small"],
  };
}

/** e of a layer by definition. */
export function exactRepresentation({ u, v, encoder }: ExpertParameters, x: Matrix): Float64Array {
  return exactLinear(encoder.weight, encoder.bias, exactResponses(v, x, u));
}

/** Cosines of a representation with texts by definition. */
export function exactCosines({ head }: ExpertParameters, representation: Float64Array, texts: Matrix): number[] {
  return Array.from({ length: texts.rows }, (_, row) => {
    const text = texts.values.subarray(row * texts.columns, (row + 1) * texts.columns);
    return exactCosine(representation, exactLinear(head.weight, head.bias, text));
  });
}

/** 21 MB in rows of 8,400 bytes: two whole segments and a part, none of which ends with a row. */
export const largeLayer = { rows: 2500, columns: 2100 };

/** Writes an expert for {@link largeLayer} as the folder `large` and gives its path. */
export function writeLargeExpert(root: string): Promise<string> {
  return writeExpert(join(root, "large"), createExpertParameters({ ...largeLayer, seed: 31 }), { module: "m.big" });
}

/** The large model; the upload id is the caller's, for it may be cut and resumed. */
export function largeModel(uploadId: string, seed = 1): TestModel {
  const tensors = [toTensor("m.big.weight", randomMatrix(largeLayer.rows, largeLayer.columns, seed))];
  return { modelId: "large", tensors, experts: ["large"], uploadId };
}
