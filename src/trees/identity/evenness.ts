/** Residuals from which on their spread says something. */
const leastResiduals = 64;
/**
 * How far the share of residuals in the inner half of their cells may be from one half: between float16 and bfloat16, of
 * which few distances are possible, it is 0.43. Of a fine-tune whose changes have a bell's shape it is above 0.9.
 */
const mostUneven = 0.12;
/** By chance it varies by as many standard deviations, of 0.5 / √count. */
const deviations = 4;

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
    const allowed = Math.max(mostUneven, (deviations * 0.5) / Math.sqrt(this.#count));
    return this.#count < leastResiduals || Math.abs(this.#inner / this.#count - 0.5) <= allowed;
  }
}
