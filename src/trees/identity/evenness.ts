/** Residuals from which on their spread says something. */
const leastResiduals = 64;
/** Share of residuals in the inner half of their cells: one half where a fine step was rounded to a coarse one. */
const [leastInner, mostInner] = [0.3, 0.7];

/**
 * How what rounding took away is spread over the cells: evenly, if it was rounding. A light fine-tune that stays within the
 * cells of its base keeps near their middle, and steps of one size all lie at the same place.
 */
export class Evenness {
  #count = 0;
  #inner = 0;

  /** Takes in the distance of a number from its rounded one, 0 left out, as a share of the cell's width. */
  add(share: number): void {
    this.#count++;
    // Between two short types distances are few multiples of one step, of which this is one.
    if (share < 0.25) this.#inner++;
    else if (share === 0.25) this.#inner += 0.5;
  }

  isEven(): boolean {
    const share = this.#inner / this.#count;
    return this.#count < leastResiduals || (share >= leastInner && share <= mostInner);
  }
}
