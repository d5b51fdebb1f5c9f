import { Moments } from "./kurtosis.js";

/** A layer as a matrix: its first extent by all others. */
export interface LayerExtent {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
}

/** What heritage needs to know of one layer of a model. */
export interface LayerStatistics extends LayerExtent {
  /** Excess kurtosis of its numbers; NaN where all are equal. */
  readonly kurtosis: number;
  /** Sum of the squares of its numbers. */
  readonly squareSum: number;
  /** Numbers of evenly spaced rows and columns, row-major; all of a small layer. */
  readonly sample: { readonly rows: number; readonly columns: number; readonly values: Float32Array };
}

/**
 * Rows and columns of a sample at most. A difference is low-rank in a sample where it is in the layer, and singular values
 * of larger samples take long: 64 × 64 some 20 ms for each layer of each two models.
 */
export const MAX_SAMPLE_SIDE = 64;

/** Takes a layer in piece by piece. Memory: the sample, 16 KiB, and 32 KiB of where it stands. */
export class LayerCollector {
  readonly #extent: LayerExtent;
  readonly #moments = new Moments();
  readonly #sample: { readonly rows: number; readonly columns: number; readonly values: Float32Array };
  /** Positions of the sample's numbers in the layer, ascending. */
  readonly #places: Float64Array;
  #next = 0;

  constructor(extent: LayerExtent) {
    this.#extent = extent;
    const [rows, columns] = [Math.min(extent.rows, MAX_SAMPLE_SIDE), Math.min(extent.columns, MAX_SAMPLE_SIDE)];
    this.#sample = { rows, columns, values: new Float32Array(rows * columns) };
    this.#places = Float64Array.from({ length: rows * columns }, (_, at) => {
      const row = Math.floor((Math.floor(at / columns) * extent.rows) / rows);
      return row * extent.columns + Math.floor(((at % columns) * extent.columns) / columns);
    });
  }

  /** Takes in the next numbers, row-major, however they were cut. */
  add(values: Float32Array): void {
    const begin = this.#moments.count;
    this.#moments.add(values);
    for (; this.#next < this.#places.length; this.#next++) {
      const at = (this.#places[this.#next] as number) - begin;
      if (at >= values.length) return;
      this.#sample.values[this.#next] = values[at] as number;
    }
  }

  /** What was found; to be asked when all numbers are in. */
  finish(): LayerStatistics {
    const { squareSum } = this.#moments;
    return { ...this.#extent, kurtosis: this.#moments.toExcessKurtosis(), squareSum, sample: this.#sample };
  }
}
