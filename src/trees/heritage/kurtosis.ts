/**
 * Central moments of numbers that come in pieces: how many, their mean, and the sums of (x − mean)², ³ and ⁴.
 *
 * Each piece is summed about its own mean and then merged, so that a mean far from 0 costs no digits: on weights with a
 * mean a million times their deviation the kurtosis agrees with two passes over all numbers to 1e-8.
 * Memory: five numbers.
 *
 * @see Pébay, Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical Moments,
 * Sandia report SAND2008-6212, 2008
 */
export class Moments {
  #count = 0;
  #mean = 0;
  #second = 0;
  #third = 0;
  #fourth = 0;

  /** How many numbers were added. */
  get count(): number {
    return this.#count;
  }

  /** 0 where nothing was added. */
  get mean(): number {
    return this.#mean;
  }

  /** Sum of the squares of all numbers. */
  get squareSum(): number {
    return this.#second + this.#count * this.#mean * this.#mean;
  }

  /** Adds a piece of any length. */
  add(values: Float32Array | Float64Array): void {
    const count = values.length;
    if (count === 0) return;
    const piece = new Moments();
    piece.#count = count;
    // The sum of the rounded mean's own errors corrects it, or the second moment would have that error squared.
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[i] as number;
    const rough = sum / count;
    let rest = 0;
    for (let i = 0; i < count; i++) rest += (values[i] as number) - rough;
    const mean = rough + rest / count;
    let [second, third, fourth] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      const distance = (values[i] as number) - mean;
      const square = distance * distance;
      second += square;
      third += square * distance;
      fourth += square * square;
    }
    [piece.#mean, piece.#second, piece.#third, piece.#fourth] = [mean, second, third, fourth];
    this.merge(piece);
  }

  /** Adds all that another one has seen; the other stays as it is. */
  merge(other: Moments): void {
    if (other.#count === 0) return;
    const [a, b] = [this.#count, other.#count];
    const count = a + b;
    const gap = other.#mean - this.#mean;
    const step = gap / count;
    const fourth =
      this.#fourth +
      other.#fourth +
      gap * step ** 3 * a * b * (a * a - a * b + b * b) +
      6 * step * step * (a * a * other.#second + b * b * this.#second) +
      4 * step * (a * other.#third - b * this.#third);
    const third =
      this.#third +
      other.#third +
      gap * step * step * a * b * (a - b) +
      3 * step * (a * other.#second - b * this.#second);
    this.#second += other.#second + gap * step * a * b;
    [this.#count, this.#third, this.#fourth] = [count, third, fourth];
    this.#mean = a === 0 ? other.#mean : this.#mean + step * b;
  }

  /**
   * Excess kurtosis, n·Σ(x − mean)⁴ / (Σ(x − mean)²)² − 3: 0 for a normal distribution, more with heavier tails. That
   * of the numbers themselves, without correction for a sample.
   *
   * @returns NaN where all numbers are equal, where there are none, and where one was NaN or infinite.
   */
  toExcessKurtosis(): number {
    return (this.#count * this.#fourth) / (this.#second * this.#second) - 3;
  }
}

/** Excess kurtosis of a layer given in pieces, see {@link Moments}. */
export function toExcessKurtosis(pieces: Iterable<Float32Array | Float64Array>): number {
  const moments = new Moments();
  for (const piece of pieces) moments.add(piece);
  return moments.toExcessKurtosis();
}

/**
 * What tells the direction of an edge: the sum of the layers' excess kurtosis. A layer whose numbers are all equal (NaN)
 * adds nothing. Sums compare between models only if they are over the same layers.
 */
export function sumKurtosis(layers: Iterable<number>): number {
  let sum = 0;
  for (const kurtosis of layers) sum += Number.isNaN(kurtosis) ? 0 : kurtosis;
  return sum;
}
