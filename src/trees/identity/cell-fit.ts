import type { Dtype } from "../../linalg/dtype.js";
import { isBeyond, toCellWidth } from "./cell-width.js";
import type { Evenness } from "./evenness.js";
import type { NumberPair } from "./read-pairs.js";

/** Numbers that another way of rounding may have sent to the next cell, of a thousand. */
const mostOutside = 1;
/** Share of a tensor that pruning leaves at least. */
const leastKept = 0.1;
/** Mean size of what was pruned, as a share of that of what was kept, at most: half of a bell's numbers give 0.25. */
const mostPruned = 0.5;

/** How two tensors fit: the same numbers, roundings of the same, or one of them with small numbers set to 0. */
export type CellVerdict = "equal" | "rounded" | "pruned-a" | "pruned-b";

/** What was set to 0 in one of two tensors. */
class Zeroed {
  count = 0;
  sum = 0;

  isPruned(total: number, keptMean: number): boolean {
    return this.count <= (1 - leastKept) * total && this.sum / this.count <= mostPruned * keptMean;
  }
}

/**
 * Whether two tensors are roundings of the same numbers to their types, and where not, whether small numbers of one were
 * set to 0 in the other.
 *
 * A stored number stands for the cell of numbers that are rounded to it: half of its distance to the next one to either
 * side. Two are roundings of the same where their cells meet; of one type, where they are equal. Rounding down instead of
 * to the nearest may put a thousandth one cell further, and none beyond.
 */
export class CellFit {
  readonly #types: readonly [Dtype, Dtype];
  readonly #total: number;
  readonly #evenness: Evenness;
  #different = 0;
  #outside = 0;
  #isFar = false;
  #keptSum = 0;
  #kept = 0;
  readonly #zeroed = { a: new Zeroed(), b: new Zeroed() };

  /** @param total numbers of each tensor. @param evenness takes in what rounding took away. */
  constructor(types: readonly [Dtype, Dtype], total: number, evenness: Evenness) {
    this.#types = types;
    this.#total = total;
    this.#evenness = evenness;
  }

  /** Takes in the next numbers; false where nothing that follows can make them fit. */
  add({ a, b }: NumberPair): boolean {
    for (let at = 0; at < a.length; at++) {
      const [x, y] = [a[at] as number, b[at] as number];
      if (x === y) {
        this.#keptSum += Math.abs(x);
        this.#kept++;
      } else if (!(Number.isNaN(x) && Number.isNaN(y))) this.#addDifferent(x, y);
    }
    return !this.#isFar && this.#outside * 1000 <= mostOutside * this.#total;
  }

  verdict(): CellVerdict | undefined {
    if (this.#isFar || this.#outside * 1000 > mostOutside * this.#total) return undefined;
    const { a, b } = this.#zeroed;
    if (a.count > 0 && b.count > 0) return undefined;
    const mean = this.#keptSum / this.#kept;
    if (a.count > 0) return a.isPruned(this.#total, mean) ? "pruned-a" : undefined;
    if (b.count > 0) return b.isPruned(this.#total, mean) ? "pruned-b" : undefined;
    return this.#different === 0 ? "equal" : "rounded";
  }

  #addDifferent(x: number, y: number): void {
    const [first, second] = this.#types;
    const distance = Math.abs(x - y);
    const [wide, narrow] = [toCellWidth(x, first), toCellWidth(y, second)];
    const reach = first === second ? 0 : (wide + narrow) / 2;
    if (distance <= reach || isOverflow(x, y, second) || isOverflow(y, x, first)) {
      this.#different++;
      this.#keptSum += Math.abs(x);
      this.#kept++;
      if (distance <= reach) this.#evenness.add(distance / Math.max(wide, narrow));
    } else if (x === 0) addTo(this.#zeroed.a, y);
    else if (y === 0) addTo(this.#zeroed.b, x);
    else {
      this.#outside++;
      if (!(distance <= 2 * reach) || reach === 0) this.#isFar = true;
    }
  }
}

function addTo(zeroed: Zeroed, value: number): void {
  zeroed.count++;
  zeroed.sum += Math.abs(value);
}

/** Whether y may be what became of an x that its type does not have. */
function isOverflow(x: number, y: number, dtype: Dtype): boolean {
  return isBeyond(x, dtype) && (Number.isNaN(y) || (isBeyond(y, dtype) && Math.sign(x) === Math.sign(y)));
}
