import type { Dtype } from "../../linalg/dtype.js";
import { toCellWidth } from "./cell-width.js";
import { Evenness } from "./evenness.js";
import type { NumberPair } from "./read-pairs.js";

/** How numbers are quantised: steps from 0 to the largest number of a group, and the numbers of one. */
interface Grid {
  readonly steps: number;
  readonly group: number;
}

/** Of 8 bits; of 4, with and without a level beyond. */
const stepCounts = [127, 7, 8];
/** Blocks that have a scale of their own. Blocks that are read begin with one. */
const blockLengths = [32, 64, 128];

/** Numbers that blocks of every length fit into. */
export const GRID_UNIT = 128;

/** Types whose numbers are fine enough to tell a grid by. */
const fineTypes: ReadonlySet<Dtype> = new Set<Dtype>(["F64", "F32", "F16", "BF16"]);

/** Whether grids can be told in a tensor of this type. */
export function canShowGrid(dtype: Dtype): boolean {
  return fineTypes.has(dtype);
}

/** Numbers that may miss, of a thousand: ties, and scales that were rounded. */
const mostMisses = 1;

/** Which of the two tensors is looked at, and what is known of it before. */
export interface GridOptions {
  readonly types: readonly [Dtype, Dtype];
  readonly total: number;
  readonly rowLength: number;
  /** The largest |b| of the tensor. */
  readonly largest: number;
}

/**
 * Whether b is what integer quantisation made of a: all numbers of b lie on a grid from 0 to the largest of their group
 * (the tensor, a row, blocks of 32, 64 or 128; 8 or 4 bits), each a lies in the cell of its b, and they fill the cells
 * evenly. The last tells quantised copies from fine-tunes of a quantised model, which keep near the grid.
 */
export class GridFit {
  readonly #options: GridOptions;
  #alive: { readonly grid: Grid; readonly evenness: Evenness; misses: number; hits: number; vague: number }[];

  constructor(options: GridOptions) {
    this.#options = options;
    const { total, rowLength } = options;
    const groups = new Set([total, rowLength, ...blockLengths].filter((length) => length > 0 && length <= total));
    this.#alive = [...groups].flatMap((group) =>
      stepCounts.map((steps) => ({
        grid: { steps, group },
        evenness: new Evenness(),
        misses: 0,
        hits: 0,
        vague: 0,
      })),
    );
  }

  /** Takes in the next numbers; false where no grid is left. */
  add(pair: NumberPair): boolean {
    for (const candidate of this.#alive) {
      const { group } = candidate.grid;
      const isWhole = group === this.#options.total;
      const length = isWhole ? pair.a.length : group;
      for (let begin = 0; begin < pair.a.length; begin += length) {
        const end = Math.min(pair.a.length, begin + length);
        const largest = isWhole ? this.#options.largest : toLargest(pair.b, begin, end);
        this.#addGroup(candidate, pair, begin, end, largest / candidate.grid.steps);
        if (candidate.misses * 1000 > mostMisses * this.#options.total) break;
      }
    }
    this.#alive = this.#alive.filter(({ misses }) => misses * 1000 <= mostMisses * this.#options.total);
    return this.#alive.length > 0;
  }

  /** At the end: whether some grid fits. */
  fits(): boolean {
    return this.#alive.some(({ evenness, hits, vague }) => hits > vague && evenness.isEven());
  }

  #addGroup(
    candidate: { readonly evenness: Evenness; misses: number; hits: number; vague: number },
    { a, b }: NumberPair,
    begin: number,
    end: number,
    step: number,
  ): void {
    const [first, second] = this.#options.types;
    const precision = toCellWidth(1, second) / 2;
    for (let at = begin; at < end; at++) {
      const [x, y] = [a[at] as number, b[at] as number];
      const level = y / step;
      const slack = nearLevel + Math.abs(level) * precision;
      if (step > 0 && slack < mostSlack && Math.abs(level - Math.round(level)) <= slack) candidate.hits++;
      else if (slack >= mostSlack) candidate.vague++;
      else if (step > 0 || x !== 0) candidate.misses++;
      const distance = Math.abs(x - y);
      if (distance === 0) continue;
      const reach = step / 2 + (toCellWidth(x, first) + toCellWidth(y, second)) / 2;
      if (distance <= reach * (1 + 1e-6)) candidate.evenness.add(distance / step);
      else candidate.misses++;
    }
  }
}

/** Distance from a level of the grid that arithmetic explains, in steps; and from which on nothing can be told. */
const [nearLevel, mostSlack] = [0.01, 0.25];

function toLargest(values: Float32Array, begin: number, end: number): number {
  let largest = 0;
  for (let at = begin; at < end; at++) largest = Math.max(largest, Math.abs(values[at] as number));
  return largest;
}
