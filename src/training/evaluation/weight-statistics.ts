import type { Rows } from "../../linalg/rows.js";
import type { LayerSet } from "../datasets/layer-set.js";

/** Layers read at a time. */
const layersAtOnce = 64;
const quantiles = [0, 0.25, 0.5, 0.75, 1] as const;
/** Mean, standard deviation, and the quantiles. */
const statistics = 2 + quantiles.length;

/**
 * Simple statistics of each layer's numbers, of both factors where it is a LoRA: mean, standard deviation, and the
 * quantiles 0, 25, 50, 75 and 100 per cent.
 *
 * @see Unterthiner et al., Predicting Neural Network Accuracy from Weights, 2020, https://arxiv.org/abs/2002.11448
 */
export async function toWeightStatistics(
  layers: LayerSet,
  indices: readonly number[],
  signal?: AbortSignal,
): Promise<Rows> {
  const width = statistics * (layers.layer.rank === undefined ? 1 : 2);
  const values = new Float32Array(indices.length * width);
  for (let begin = 0; begin < indices.length; begin += layersAtOnce) {
    signal?.throwIfAborted();
    const batch = indices.slice(begin, begin + layersAtOnce);
    const inputs = [...(await layers.read(batch)).values()];
    for (const row of batch.keys()) {
      for (const [part, numbers] of inputs.entries()) {
        const size = numbers.length / batch.length;
        const own = toStatistics(numbers.slice(row * size, (row + 1) * size));
        values.set(own, (begin + row) * width + part * statistics);
      }
    }
  }
  return { width, values };
}

function toStatistics(numbers: Float32Array): number[] {
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  numbers.sort();
  return [
    mean,
    Math.sqrt(variance),
    ...quantiles.map((share) => numbers[Math.round(share * (numbers.length - 1))] as number),
  ];
}

/**
 * Inner products between rows whose columns are scaled to mean 0 and variance 1 over the gallery.
 *
 * @returns queries × gallery.
 */
export function toStandardGram(queries: Rows, gallery: Rows): Float64Array {
  const { width } = gallery;
  const count = gallery.values.length / width;
  const [mean, deviation] = [new Float64Array(width), new Float64Array(width)];
  for (const [i, value] of gallery.values.entries()) mean[i % width] = (mean[i % width] as number) + value / count;
  for (const [i, value] of gallery.values.entries()) {
    deviation[i % width] = (deviation[i % width] as number) + (value - (mean[i % width] as number)) ** 2 / count;
  }
  const scale = ({ values }: Rows): Float64Array =>
    Float64Array.from(values, (value, i) => {
      const spread = Math.sqrt(deviation[i % width] as number);
      return spread > 0 ? (value - (mean[i % width] as number)) / spread : 0;
    });
  const [a, b] = [scale(queries), scale(gallery)];
  const gram = new Float64Array((a.length / width) * count);
  for (const at of gram.keys()) {
    const [row, column] = [Math.floor(at / count) * width, (at % count) * width];
    let sum = 0;
    for (let k = 0; k < width; k++) sum += (a[row + k] as number) * (b[column + k] as number);
    gram[at] = sum;
  }
  return gram;
}
