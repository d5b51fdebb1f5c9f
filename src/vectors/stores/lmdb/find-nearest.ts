import { toUnitRows } from "../../../linalg/unit.js";
import { compareText } from "../../compare-text.js";
import type { Hit } from "../../vector-store.js";
import { type BestRows, leastCosine, type NearestGraph } from "./nearest-graph.js";
import type { Candidates, ResidentSpace } from "./resident-space.js";

/** Queries of one product, at most: with the rows of a segment at a width of 512 it takes 128 MiB. */
const queriesPerProduct = 256;
/** Rows of all segments together that are found for the queries of one product, at most: 64 MiB. */
const rowsPerProduct = 8 * 1024 ** 2;
/** Rows taken from each segment beyond k, so that ties at the end are mostly among them. */
const spareRows = 6;

/** What is looked for. */
export interface NearestQuestion {
  /** Row-major: queries × width. */
  readonly vectors: Float32Array;
  readonly k: number;
  readonly minCosine: number;
  /** Whether nobody waits for the answer any more. */
  isGone(): boolean;
}

/**
 * The nearest rows of each query among candidates. The graph finds them in float32, each segment's best ones; those that
 * could be among the k best, whatever its rounding did, get their cosine in float64, by which they are ordered, and by id
 * where it is equal. Undefined if nobody waits any more.
 */
export async function findNearest(
  graph: NearestGraph,
  space: Pick<ResidentSpace, "width" | "idOf" | "rowOf">,
  candidates: readonly Candidates[],
  question: NearestQuestion,
): Promise<Hit[][] | undefined> {
  const { vectors, isGone } = question;
  const { width } = space;
  const { values: units } = toUnitRows({ width, values: vectors });
  const hits: Hit[][] = [];
  const rowsPerQuery = candidates.reduce((sum, { count }) => sum + Math.min(count, question.k + spareRows), 1);
  const step = width * Math.max(1, Math.min(queriesPerProduct, Math.floor(rowsPerProduct / rowsPerQuery)));
  for (let begin = 0; begin < units.length; begin += step) {
    const queries = units.subarray(begin, begin + step);
    const parts: Part[] = [];
    for (const rows of candidates) {
      if (isGone()) return undefined;
      const best = await graph.best(queries, rows, Math.min(rows.count, question.k + spareRows));
      parts.push({ rows, best });
    }
    for (let query = 0; query * width < queries.length; query++) {
      const unit = queries.subarray(query * width, (query + 1) * width);
      const slots = await selectSlots(graph, parts, query, unit, question);
      if (slots === undefined) return undefined;
      hits.push(rank(space, unit, slots, question));
    }
  }
  return hits;
}

/** The best rows of a segment, for all queries. */
interface Part {
  readonly rows: Candidates;
  readonly best: BestRows;
}

/** Slots of all rows that could be among the k nearest of a query; undefined if nobody waits any more. */
async function selectSlots(
  graph: NearestGraph,
  parts: readonly Part[],
  query: number,
  unit: Float32Array,
  { k, minCosine, isGone }: NearestQuestion,
): Promise<number[] | undefined> {
  if (isGone()) return undefined;
  const found = parts.map(({ rows, best }) => {
    const [begin, end] = [query * best.k, (query + 1) * best.k];
    return { rows, cosines: best.cosines.subarray(begin, end), numbers: best.rows.subarray(begin, end) };
  });
  // A sum of products of unit vectors in float32 errs by less than width · 2^-24, and so do two that are compared.
  const error = (unit.length + 4) * 2 ** -24;
  const kth = toKthLargest(
    found.map(({ cosines }) => cosines),
    k,
  );
  const least = Math.max(leastCosine, kth - 2 * error, minCosine - error);
  const slots: number[] = [];
  for (const { rows, cosines, numbers } of found) {
    let smallest = Number.POSITIVE_INFINITY;
    const before = slots.length;
    for (let i = 0; i < cosines.length; i++) {
      const cosine = cosines[i] as number;
      if (cosine < smallest) smallest = cosine;
      if (cosine >= least) slots.push(toSlot(rows, numbers[i] as number));
    }
    if (smallest < least || cosines.length === rows.count) continue;
    // There may be more rows as good as the last one: look at all of them.
    slots.length = before;
    if (isGone()) return undefined;
    const all = await graph.all(unit, rows);
    for (let row = 0; row < all.length; row++) if ((all[row] as number) >= least) slots.push(toSlot(rows, row));
  }
  return slots;
}

/** The k-th largest of some lists; -Infinity if they are shorter. */
function toKthLargest(lists: readonly Float32Array[], k: number): number {
  const total = lists.reduce((sum, { length }) => sum + length, 0);
  if (total < k) return Number.NEGATIVE_INFINITY;
  const all = new Float32Array(total);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all.sort()[total - k] as number;
}

function toSlot({ first, slots }: Candidates, row: number): number {
  return slots === undefined ? first + row : (slots[row] as number);
}

/** The k nearest of some slots, by cosines in float64. */
function rank(
  space: Pick<ResidentSpace, "width" | "idOf" | "rowOf">,
  unit: Float32Array,
  slots: readonly number[],
  { k, minCosine }: NearestQuestion,
): Hit[] {
  const hits = slots
    .map((slot) => ({ id: space.idOf(slot), cosine: toCosine(unit, space.rowOf(slot)) }))
    .filter(({ cosine }) => cosine >= minCosine);
  hits.sort((a, b) => b.cosine - a.cosine || compareText(a.id, b.id));
  return hits.slice(0, k);
}

/** Product of two vectors of unit length, in float64. */
function toCosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return Math.min(1, Math.max(-1, sum));
}
