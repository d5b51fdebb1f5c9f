import type { TensorInfo } from "../../weights/layer.js";
import type { ModelFile } from "../../weights/model-file.js";
import { CellFit } from "./cell-fit.js";
import { Evenness } from "./evenness.js";
import { canShowGrid, GRID_UNIT, GridFit } from "./grid-fit.js";
import {
  haveEqualBytes,
  isNumberTensor,
  type NumberPair,
  type NumberTensor,
  readPairs,
  toNumberCount,
  toRowLength,
} from "./read-pairs.js";

/** How two models are the same. */
export interface Likeness {
  /**
   * `dtype`: all numbers are roundings of the same ones. `near`: one is a quantised or pruned copy. `factors`: LoRA layers
   * whose products are the same.
   */
  readonly kind: "dtype" | "near" | "factors";
  /** ‖x − y‖ / ‖x‖ over all weights, the larger of both for ‖x‖. */
  readonly distance: number;
}

type Models = readonly [ModelFile, ModelFile];

/** Which of the two was made from the other; undefined where nothing tells. */
type Side = "a" | "b" | undefined;

/** Sums of squares of two tensors, and of their difference. */
class Norms {
  first = 0;
  second = 0;
  apart = 0;

  add(a: Float32Array, b: Float32Array): void {
    let [first, second, apart] = [0, 0, 0];
    for (let at = 0; at < a.length; at++) {
      const [x, y] = [a[at] as number, b[at] as number];
      first += x * x;
      second += y * y;
      apart += (x - y) ** 2;
    }
    this.first += first;
    this.second += second;
    this.apart += apart;
  }
}

/**
 * Whether two models with tensors of the same names and shapes are the same but for rounding to their types, integer
 * quantisation or pruning of small numbers of one of them. Distance does not count, as light fine-tunes lie nearer to
 * each other than a copy of 8 bits lies to its model: every tensor must bear the marks of what was done to it.
 *
 * Reads both models once, and no further than what differs otherwise; a quantised tensor up to three times. Memory: see
 * `readPairs`.
 *
 * @returns undefined where they are not the same, or not of the same tensors.
 * @throws what the files throw; the signal's reason.
 */
export async function compareWeights(
  models: Models,
  { names, signal }: { readonly names?: readonly string[] | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Likeness | undefined> {
  const [a, b] = models;
  const compared = names ?? [...a.tensors.keys()];
  if (names === undefined && compared.length !== b.tensors.size) return undefined;
  const comparison = new Comparison(models, signal);
  for (const name of compared) {
    const [first, second] = [a.tensors.get(name), b.tensors.get(name)];
    if (first === undefined || second === undefined || !haveEqualShapes(first, second)) return undefined;
    if (!(await comparison.add(first, second))) return undefined;
  }
  return comparison.toLikeness();
}

class Comparison {
  readonly #models: Models;
  readonly #signal: AbortSignal | undefined;
  readonly #norms = new Norms();
  /** Of rounding to types, over all tensors. */
  readonly #evenness = new Evenness();
  #made: Side;

  constructor(models: Models, signal: AbortSignal | undefined) {
    this.#models = models;
    this.#signal = signal;
  }

  /** Whether two tensors fit, to each other and to those before. */
  async add(first: TensorInfo, second: TensorInfo): Promise<boolean> {
    if (!isNumberTensor(first) || !isNumberTensor(second)) {
      return haveEqualBytes(this.#models, [first, second], this.#signal);
    }
    const tensors = [first, second] as const;
    const fit = new CellFit([first.dtype, second.dtype], toNumberCount(first), this.#evenness);
    let fits = true;
    const norms = new Norms();
    const whole: NumberPair[] = [];
    for await (const pair of readPairs(this.#models, tensors, { unit: GRID_UNIT, signal: this.#signal })) {
      norms.add(pair.a, pair.b);
      if (pair.a.length === toNumberCount(first)) whole.push(pair);
      fits = fit.add(pair);
      if (!fits) break;
    }
    const verdict = fits ? fit.verdict() : undefined;
    if (verdict === undefined) return this.#addQuantised(tensors, whole[0]);
    this.#take(norms);
    if (verdict === "pruned-a") return this.#isMade("a");
    return verdict !== "pruned-b" || this.#isMade("b");
  }

  toLikeness(): Likeness | undefined {
    if (!this.#evenness.isEven()) return undefined;
    const { apart, first, second } = this.#norms;
    const distance = apart === 0 ? 0 : Math.sqrt(apart / Math.max(first, second));
    return { kind: this.#made === undefined ? "dtype" : "near", distance };
  }

  /** @param whole the numbers, where a block holds all of them: they need not be read again. */
  async #addQuantised(
    [first, second]: readonly [NumberTensor, NumberTensor],
    whole: NumberPair | undefined,
  ): Promise<boolean> {
    const [a, b] = this.#models;
    const turned = whole && { a: whole.b, b: whole.a, begin: 0 };
    if (this.#made !== "a" && (await this.#isQuantised([a, b], [first, second], whole))) return this.#isMade("b");
    return this.#made !== "b" && (await this.#isQuantised([b, a], [second, first], turned)) && this.#isMade("a");
  }

  /** Whether the second tensor is a quantised copy of the first. */
  async #isQuantised(
    models: Models,
    tensors: readonly [NumberTensor, NumberTensor],
    whole: NumberPair | undefined,
  ): Promise<boolean> {
    const [first, second] = tensors;
    if (!canShowGrid(second.dtype)) return false;
    const options = { unit: GRID_UNIT, signal: this.#signal };
    const [, copy] = models;
    let largest = 0;
    for await (const { b } of whole === undefined ? readPairs([copy, copy], [second, second], options) : [whole]) {
      for (const value of b) largest = Math.max(largest, Math.abs(value));
    }
    const [total, rowLength] = [toNumberCount(first), toRowLength(first)];
    const fit = new GridFit({ types: [first.dtype, second.dtype], total, rowLength, largest });
    const norms = new Norms();
    for await (const pair of whole === undefined ? readPairs(models, tensors, options) : [whole]) {
      norms.add(pair.a, pair.b);
      if (!fit.add(pair)) return false;
    }
    if (fit.fits()) this.#take(norms);
    return fit.fits();
  }

  #take({ apart, first, second }: Norms): void {
    this.#norms.apart += apart;
    this.#norms.first += first;
    this.#norms.second += second;
  }

  #isMade(side: Side): boolean {
    this.#made ??= side;
    return this.#made === side;
  }
}

function haveEqualShapes(a: TensorInfo, b: TensorInfo): boolean {
  return a.shape.length === b.shape.length && a.shape.every((extent, at) => extent === b.shape[at]);
}
