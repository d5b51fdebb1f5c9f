/**
 * Seeded numbers, the same on every machine: mulberry32 (Tommy Ettinger, public domain). Good enough for weights of a
 * bench, not for statistics.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Numbers evenly spread around 0 with the given standard deviation. */
  spread(count: number, deviation: number): Float32Array {
    const values = new Float32Array(count);
    const width = deviation * Math.sqrt(12);
    for (let i = 0; i < count; i++) values[i] = (this.next() - 0.5) * width;
    return values;
  }
}
