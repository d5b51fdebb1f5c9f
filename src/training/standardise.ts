import type { LayerSet } from "./datasets/layer-set.js";
import type { TrainShape } from "./train-shape.js";

/** Layers that the factor is measured on, spread over all. */
const measured = 512;

/**
 * The factor by which layers are multiplied so that their responses to the first probes have a variance of 1. Weights of
 * U are even between ±1/√r_U and those of V between ±1/√d_H, so that a response has the variance ‖X‖² / (9·r_U·d_H),
 * ‖X‖ being the Frobenius norm; its square is averaged over the layers.
 *
 * @param indices the layers that are trained on.
 */
export async function toStandardFactor(
  { layer, probes }: TrainShape,
  layers: LayerSet,
  indices: readonly number[],
): Promise<number> {
  const stride = Math.max(1, Math.floor(indices.length / measured));
  const some = indices.filter((_, place) => place % stride === 0);
  let sum = 0;
  for (const index of some) {
    const inputs = await layers.read([index]);
    const { X: x, down, up } = Object.fromEntries(inputs);
    if (x !== undefined) sum += product(x, x, x.length, 0, 0);
    else if (down !== undefined && up !== undefined) sum += toSquaredNorm(down, up, layer);
  }
  const variance = sum / some.length / (9 * probes * layer.rows);
  return variance > 0 ? Math.fround(1 / Math.sqrt(variance)) : 1;
}

/** The same layers, each times a factor. */
export function scaleLayers(layers: LayerSet, factor: number): LayerSet {
  return {
    ...layers,
    read: async (indices) => {
      const inputs = await layers.read(indices);
      // X = B·A grows with one of its factors.
      return new Map(
        [...inputs].map(([name, values]) => [name, name === "down" ? values : values.map((value) => value * factor)]),
      );
    },
  };
}

/** Makes parameters that were trained on scaled layers ones for the layers as they are. */
export function foldFactor(parameters: ReadonlyMap<string, Float32Array>, factor: number): void {
  const v = parameters.get("shared_probe_proj.weight");
  if (v === undefined || factor === 1) return;
  for (const [i, value] of v.entries()) v[i] = value * factor;
}

/** ‖B·A‖² as the sum over the rank × rank products of both factors' rows. */
function toSquaredNorm(down: Float32Array, up: Float32Array, { rows, columns, rank = 0 }: TrainShape["layer"]): number {
  let sum = 0;
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < rank; j++) {
      sum += product(down, down, columns, i * columns, j * columns) * product(up, up, rows, i * rows, j * rows);
    }
  }
  return sum;
}

function product(a: Float32Array, b: Float32Array, length: number, beginA: number, beginB: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (a[beginA + i] as number) * (b[beginB + i] as number);
  return sum;
}
