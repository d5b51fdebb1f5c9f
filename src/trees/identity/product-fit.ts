import type { Dtype } from "../../linalg/dtype.js";
import { CellFit } from "./cell-fit.js";
import { Evenness } from "./evenness.js";

/** Factors of one module, in float32. */
export interface TypedFactors {
  /** Of A and B. */
  readonly types: readonly [Dtype, Dtype];
  readonly rank: number;
  /** rank × in. */
  readonly down: Float32Array;
  /** out × rank. */
  readonly up: Float32Array;
  /** s of s · B·A. */
  readonly scale: number;
}

/** How far factors are moved at most, as a share of their length, where they were rounded and not factored anew. */
const sameBasis = 0.1;
/** How much farther than all modules together one may be. */
const moduleShare = 4;

/**
 * Whether LoRA layers are the same: where the factors themselves lie close together they must be roundings of the same
 * numbers, as a light fine-tune lies close as well; where they were factored anew, or scaled, their products must be near.
 */
export class ProductFit {
  readonly #evenness = new Evenness();
  #hasSameBasis = true;
  #isRounded = true;
  #apart = 0;
  #norm = 0;
  /** The largest share of a module. */
  #farthest = 0;

  /** Takes in the factors of a module in both files; false where nothing that follows can make them fit. */
  add(x: TypedFactors, y: TypedFactors): boolean {
    const [own, theirs, both] = [toProduct(x, x), toProduct(y, y), toProduct(x, y)];
    const gap = Math.max(0, own + theirs - 2 * both);
    const norm = Math.max(own, theirs);
    this.#apart += gap;
    this.#norm += norm;
    if (norm > 0) this.#farthest = Math.max(this.#farthest, gap / norm);
    const sides = [
      [x.down, y.down],
      [x.up, y.up],
    ] as const;
    const isSame = Math.abs(x.scale - y.scale) <= 1e-6 * Math.abs(x.scale) && sides.every(([a, b]) => areNear(a, b));
    this.#hasSameBasis &&= isSame;
    this.#isRounded &&= isSame && sides.every(([a, b], side) => this.#fitsCells(a, b, x.types[side], y.types[side]));
    return Number.isFinite(norm) && this.#farthest < 1;
  }

  /** ‖X − Y‖ / ‖X‖ of all modules' products so far. */
  get distance(): number {
    return this.#norm === 0 ? 0 : Math.sqrt(this.#apart / this.#norm);
  }

  /** @param limit distance that factoring anew explains; undefined where the types are too coarse to tell. */
  fits(limit: number | undefined): boolean {
    if (this.#norm === 0) return false;
    if (this.#hasSameBasis) return this.#isRounded && this.#evenness.isEven();
    return limit !== undefined && this.distance <= limit && this.#farthest <= (moduleShare * limit) ** 2;
  }

  #fitsCells(a: Float32Array, b: Float32Array, first: Dtype | undefined, second: Dtype | undefined): boolean {
    if (first === undefined || second === undefined) return false;
    const fit = new CellFit([first, second], a.length, this.#evenness);
    fit.add({ a, b, begin: 0 });
    const verdict = fit.verdict();
    return verdict === "equal" || verdict === "rounded";
  }
}

function areNear(a: Float32Array, b: Float32Array): boolean {
  if (a.length !== b.length) return false;
  let [apart, norm] = [0, 0];
  for (let at = 0; at < a.length; at++) {
    apart += ((a[at] as number) - (b[at] as number)) ** 2;
    norm += (a[at] as number) ** 2;
  }
  return apart <= sameBasis ** 2 * norm;
}

/** ⟨s·B·A, t·D·C⟩ = s·t · Σ (BᵀD) ∘ (ACᵀ). */
function toProduct(x: TypedFactors, y: TypedFactors): number {
  const width = x.down.length / x.rank;
  const height = x.up.length / x.rank;
  let product = 0;
  for (let i = 0; i < x.rank; i++) {
    for (let j = 0; j < y.rank; j++) {
      let [outer, inner] = [0, 0];
      for (let row = 0; row < height; row++) {
        outer += (x.up[row * x.rank + i] as number) * (y.up[row * y.rank + j] as number);
      }
      for (let at = 0; at < width; at++) {
        inner += (x.down[i * width + at] as number) * (y.down[j * width + at] as number);
      }
      product += outer * inner;
    }
  }
  return x.scale * y.scale * product;
}
