import type { SketchKind } from "../discovery/find-trees.js";
import { toSquare, toSquaredDistances, type VectorTable } from "../discovery/squared-distances.js";
import type { ModelMarks } from "./model-marks.js";

/** Two models of a table that may be the same. */
export interface CandidatePair {
  readonly first: number;
  readonly second: number;
  /** ‖x − y‖ / ‖x‖ of their sketches. */
  readonly distance: number;
}

/** Options of {@link choosePairs}. */
export interface ChoosePairsOptions {
  /** Models whose distances are held at once. Default 12,000: 288 MB. */
  readonly mostAtOnce?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Distances of sketches of the same weights, for what float32 products leave of their digits. */
const sameDistance = 1e-3;
/** What quantising to 4 bits, pruning half of the numbers, and rounding moves a layer by at most, with room for sketches. */
const [gridDistance, prunedDistance, roundings] = [0.3, 0.5, 3];
/** Share of numbers set to 0 from which on pruning is thought of. */
const leastZeros = 0.002;
/** Of LoRA layers, whose sketches are of second moments: 600 fine-tunes of the demo's tree lie 0.80 apart or more. */
const loraDistance = 0.3;
/** Models that a copy is held against, the nearest: its own is among them, if not the first. */
const mostPairs = 16;

/**
 * Chooses the pairs of models that are worth reading in full, by the distances of their sketches: those as near as what was
 * done to the files can explain. Two without any marks of it, of the same types, are pairs only where nothing lies between
 * them; so fine-tunes, however light, are hardly ever read.
 *
 * Time O(n²). Memory: 4 bytes per pair of `mostAtOnce` models.
 *
 * @param marks of each model of the table, of dense models.
 */
export async function choosePairs(
  table: VectorTable,
  kind: SketchKind,
  marks: readonly (ModelMarks | undefined)[],
  { mostAtOnce = 12_000, signal }: ChoosePairsOptions = {},
): Promise<CandidatePair[]> {
  const nearest: CandidatePair[][] = Array.from({ length: table.count }, () => []);
  const squares = Float64Array.from({ length: table.count }, (_, at) => toSquare(table, at));
  const take = (i: number, j: number, squared: number): void => {
    const [first, second] = i < j ? [i, j] : [j, i];
    const distance = Math.sqrt(squared / Math.max(squares[i] as number, squares[j] as number, Number.MIN_VALUE));
    for (const [copy, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const limit = kind === "lora" ? loraDistance : toLimit(marks[copy], marks[other]);
      if (distance <= limit) keep(nearest[copy] as CandidatePair[], { first, second, distance });
    }
  };
  for (const [rows, columns] of toBlocks(table.count, mostAtOnce)) {
    const chosen = rows === columns ? rows : [...rows, ...columns];
    const distances = await toSquaredDistances(select(table, chosen), { signal });
    for (let i = 0; i < chosen.length; i++) {
      for (let j = i + 1; j < chosen.length; j++) {
        // Pairs within a block are those of the block with itself.
        if (rows !== columns && i < rows.length === j < rows.length) continue;
        const squared = distances.get(i, j);
        take(chosen[i] as number, chosen[j] as number, squared);
      }
    }
  }
  const pairs = new Map(nearest.flat().map((pair) => [pair.first * table.count + pair.second, pair]));
  return [...pairs.values()].sort((a, b) => a.distance - b.distance || a.first - b.first || a.second - b.second);
}

/** How far a model may lie from a copy of it with these marks. */
function toLimit(copy: ModelMarks | undefined, model: ModelMarks | undefined): number {
  if (copy === undefined || model === undefined) return sameDistance;
  const isCoarser = copy.types !== model.types && copy.rounding >= model.rounding;
  return Math.max(
    sameDistance,
    isCoarser ? roundings * (copy.rounding + model.rounding) : 0,
    copy.isOnGrid ? gridDistance : 0,
    copy.zeros - model.zeros >= leastZeros ? prunedDistance : 0,
  );
}

/** Keeps the nearest pairs of a model, in order. */
function keep(pairs: CandidatePair[], pair: CandidatePair): void {
  let at = pairs.length;
  while (at > 0 && (pairs[at - 1] as CandidatePair).distance > pair.distance) at--;
  if (at >= mostPairs) return;
  pairs.splice(at, 0, pair);
  pairs.length = Math.min(pairs.length, mostPairs);
}

/** Blocks of models, each with itself and with each other one, so that two fit at once. */
function toBlocks(count: number, mostAtOnce: number): [readonly number[], readonly number[]][] {
  const all = Array.from({ length: count }, (_, at) => at);
  if (count <= mostAtOnce) return [[all, all]];
  const size = Math.max(1, Math.floor(mostAtOnce / 2));
  const blocks = Array.from({ length: Math.ceil(count / size) }, (_, at) => all.slice(at * size, (at + 1) * size));
  return blocks.flatMap((block, at) => blocks.slice(at).map((other): [number[], number[]] => [block, other]));
}

function select({ width, values }: VectorTable, chosen: readonly number[]): VectorTable {
  const selected = new Float32Array(chosen.length * width);
  for (const [at, row] of chosen.entries()) selected.set(values.subarray(row * width, (row + 1) * width), at * width);
  return { count: chosen.length, width, values: selected };
}
