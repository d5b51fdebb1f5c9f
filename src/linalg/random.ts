/**
 * Seeded numbers, the same on every machine: mulberry32 (Tommy Ettinger, public domain). Good enough for first weights,
 * orders and benches, not for statistics.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Where the sequence stands: a Random with this as its seed goes on with it. */
  get state(): number {
    return this.#state >>> 0;
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

  /** The numbers from 0 up to, not including, `count` in random order: Fisher and Yates. */
  order(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const other = Math.floor(this.next() * (last + 1));
      const kept = order[last] as number;
      order[last] = order[other] as number;
      order[other] = kept;
    }
    return order;
  }
}
