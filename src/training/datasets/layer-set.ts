import { createHash } from "node:crypto";
import type { TrainShape } from "../train-shape.js";

/** Part of a dataset that a model belongs to: those named `holdout` have labels that no model of `train` has. */
export type Split = "train" | "val" | "test" | "val_holdout" | "test_holdout";

/** Layers of one shape, one per model, read by index: a dataset need not fit into memory. */
export interface LayerSet {
  readonly count: number;
  readonly layer: TrainShape["layer"];
  /** SHA-256, hex, of what the numbers come from: sets with the same one hold the same layers. */
  readonly identity: string;
  /**
   * Reads the layers of some models, in the order asked for, as the inputs of a training graph: `X`
   * [n·d_H, d_W], or `down` (A) [n·rank, d_W] and `up` (Bᵀ) [n·rank, d_H].
   */
  read(indices: ArrayLike<number>): Promise<ReadonlyMap<string, Float32Array>>;
}

/** A set of layers that lie in memory, each input's numbers one after another. */
export function createMemoryLayerSet(
  count: number,
  layer: TrainShape["layer"],
  inputs: ReadonlyMap<string, Float32Array>,
): LayerSet {
  const hash = createHash("sha256").update(JSON.stringify([count, layer]));
  for (const { buffer, byteOffset, byteLength } of inputs.values()) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return {
    count,
    layer,
    identity: hash.digest("hex"),
    read: async (indices) =>
      new Map(
        [...inputs].map(([name, values]) => {
          const size = values.length / count;
          const picked = new Float32Array(indices.length * size);
          for (let i = 0; i < indices.length; i++) {
            const index = indices[i] as number;
            picked.set(values.subarray(index * size, (index + 1) * size), i * size);
          }
          return [name, picked];
        }),
      ),
  };
}
