import { SKETCH_BUCKETS } from "../sketches/sketch.js";
import type { VectorTable } from "./squared-distances.js";

/** Numbers of all sketches together that are aimed at: 64 MiB as float32. */
const aimedNumbers = 2 ** 24;
/** Blocks of a sketch at most and at least: relative error of a squared distance 1.6 and 6 per cent. */
const [mostBlocks, leastBlocks] = [128, 8];

/** Blocks of 64 numbers that sketches of so many models may have, so that all fit into 64 MiB; at least 8, 2 KiB a model. */
export function toBlockLimit(models: number): number {
  return Math.max(leastBlocks, Math.min(mostBlocks, Math.floor(aimedNumbers / (SKETCH_BUCKETS * Math.max(1, models)))));
}

/** Sketches of the models of one signature, taken in as they come. */
export class SketchStore {
  readonly #indices: number[] = [];
  #values = new Float32Array(0);
  #width = 0;

  /** Takes in the sketch of the model of this index. All have the length of the first. */
  add(index: number, sketch: Float64Array): void {
    this.#width ||= sketch.length;
    const begin = this.#indices.length * this.#width;
    if (begin + this.#width > this.#values.length) {
      const grown = new Float32Array(Math.max(begin + this.#width, Math.ceil(1.5 * this.#values.length)));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values.set(sketch, begin);
    this.#indices.push(index);
  }

  /** All sketches in the order of their indices, whatever they came in, so that the same models give the same result. */
  toTable(): { readonly order: readonly number[]; readonly table: VectorTable } {
    const width = this.#width;
    const places = [...this.#indices.keys()].sort(
      (a, b) => (this.#indices[a] as number) - (this.#indices[b] as number),
    );
    const values = new Float32Array(places.length * width);
    for (const [at, place] of places.entries()) {
      values.set(this.#values.subarray(place * width, (place + 1) * width), at * width);
    }
    const order = places.map((place) => this.#indices[place] as number);
    return { order, table: { count: order.length, width, values } };
  }
}
