import { ProbestreamError } from "../errors/probestream-error.js";
import type { VectorStore } from "../vectors/vector-store.js";
import { leaveOut, toFullBases, withKept } from "./full-bases.js";
import { maxHits } from "./limits.js";
import { outcomeOf } from "./map-sound.js";
import { mergeHits, type SpaceHit, type SpaceHits } from "./merge-hits.js";
import { createPacer } from "./pacer.js";
import type { PreparedQuery, SpaceQuery } from "./prepared-query.js";
import type { RetrievalContext } from "./retrieval-context.js";
import { visitStoredModels } from "./stored-models.js";

/** A query under way. */
interface Running {
  readonly query: PreparedQuery;
  /** Hits asked of each space in the next round. */
  k: number;
  /** Of this round, by space id. */
  readonly found: Map<string, SpaceHits>;
  /** Bases of which it has as many as it may; their other models are not asked for any more. */
  full: ReadonlySet<string>;
  /** Its models of these bases. */
  kept: readonly SpaceHit[];
  outcome: readonly SpaceHit[] | ProbestreamError | undefined;
}

/** One query in one space, as part of a round. */
interface Job {
  readonly running: Running;
  readonly space: SpaceQuery;
}

/**
 * Queries of one call of a store: as many as a product needs to cost little for each (0.6 ms for 256 beside 0.9 for 64, of
 * 100,000 × 512), and no more, so that a lone query of another batch need not wait for thousands.
 */
const queriesPerSearch = 256;

/** Hits of one call of a store, and of queries that ask for more together: some 8 MiB with what is made of them. */
const hitsAtOnce = 20_000;

/** Bytes of one hit of a query that asks for more, with its model's base. */
const bytesPerWideHit = 600;

/** Hits that are asked for without a filter on bases, which costs a store a look at all of them. */
const mostPlainHits = 1000;

/** Models whose bases are remembered from one group of queries to the next. */
const maxKnownBases = 65_536;

/** What searches need of a server. */
export type SearchContext = Pick<RetrievalContext, "store" | "admit">;

/**
 * Searches prepared queries, those with the same space, filter, k and bounds in calls of up to 256. Where models of one
 * base are bounded, more and more are asked for, twice as many each time, until k are found or a space has no more; beyond
 * 1,000 without models of bases that are full, so that thousands of one base hide no other. The caller has memory reserved
 * for the hits that queries ask for; more are taken for few queries at a time, with memory that is reserved for them here.
 *
 * @returns per query; what the store refuses of one group stands in the place of its queries, as does a memory plan without
 * room for what they need more.
 */
export async function searchQueries(
  { store, admit }: SearchContext,
  queries: readonly PreparedQuery[],
  signal: AbortSignal | undefined,
): Promise<readonly (readonly SpaceHit[] | ProbestreamError)[]> {
  const all = queries.map((query): Running => {
    const k = Math.min(maxHits, query.k + query.excluded.size);
    return { query, k, found: new Map(), full: new Set(), kept: [], outcome: undefined };
  });
  const bases = new Map<string, string>();
  const pace = createPacer(signal);
  const runGroup = async (group: readonly Running[]): Promise<void> => {
    if (bases.size > maxKnownBases) bases.clear();
    await runRound(store, group, signal);
    await pace();
    await readBases(store, group, bases, signal);
    await pace();
    for (const running of group) {
      conclude(running, bases);
      await pace();
    }
  };
  await runGroup(all);
  for (;;) {
    const open = all.filter(({ outcome }) => outcome === undefined);
    if (open.length === 0) return all.map(({ outcome }) => outcome ?? []);
    for (const group of toGroups(open)) {
      const bytes = group.reduce((sum, running) => sum + hitsOf(running), 0) * bytesPerWideHit;
      const outcome = await outcomeOf(async () => {
        const release = admit(bytes, `${group.length} queries that need more hits`, "batch");
        try {
          await runGroup(group);
        } finally {
          release();
        }
      });
      if (!(outcome instanceof ProbestreamError)) continue;
      if (outcome.reason !== "MEMORY_BUDGET") throw outcome;
      for (const running of group) running.outcome = outcome;
    }
  }
}

/** Queries that together ask for {@link hitsAtOnce} hits, one at least. */
function toGroups(open: readonly Running[]): (readonly Running[])[] {
  const groups: Running[][] = [];
  let hits = Number.POSITIVE_INFINITY;
  for (const running of open) {
    hits += hitsOf(running);
    if (hits > hitsAtOnce) {
      groups.push([]);
      hits = hitsOf(running);
    }
    groups.at(-1)?.push(running);
  }
  return groups;
}

/** Hits of the next round, at most. */
function hitsOf({ k, query }: Running): number {
  return k * query.spaces.length;
}

/** Asks each space of each query for as many hits as it wants now. */
async function runRound(store: VectorStore, open: readonly Running[], signal: AbortSignal | undefined): Promise<void> {
  const groups = new Map<string, Job[]>();
  for (const running of open) {
    const { minCosine, exact, spaces } = running.query;
    for (const asked of spaces) {
      const space = { ...asked, filter: leaveOut(running.full, asked.filter) };
      const key = JSON.stringify([space.spaceId, running.k, minCosine ?? null, exact, space.filter ?? null]);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [{ running, space }]);
      else group.push({ running, space });
    }
  }
  for (const group of [...groups.values()].flatMap(inParts)) {
    signal?.throwIfAborted();
    const outcome = await outcomeOf(() => searchGroup(store, group, signal));
    if (!(outcome instanceof ProbestreamError)) continue;
    // A store that is not there answers no other group either.
    if (outcome.kind === "unavailable" || outcome.kind === "corrupt-data") throw outcome;
    for (const { running } of group) running.outcome = outcome;
  }
}

function inParts(group: readonly Job[]): (readonly Job[])[] {
  const parts: (readonly Job[])[] = [];
  const most = Math.max(1, Math.min(queriesPerSearch, Math.floor(hitsAtOnce / (group[0]?.running.k ?? 1))));
  for (let at = 0; at < group.length; at += most) parts.push(group.slice(at, at + most));
  return parts;
}

async function searchGroup(store: VectorStore, group: readonly Job[], signal: AbortSignal | undefined): Promise<void> {
  const [first] = group;
  if (first === undefined) return;
  const { spaceId, vector, filter } = first.space;
  const { k, query } = first.running;
  const vectors = new Float32Array(group.length * vector.length);
  for (const [index, job] of group.entries()) vectors.set(job.space.vector, index * vector.length);
  const { minCosine, exact } = query;
  const hits = await store.search(spaceId, { vectors, k, filter, minCosine, exact, signal });
  for (const [index, { running, space }] of group.entries()) {
    const own = hits[index] ?? [];
    running.found.set(space.spaceId, { space, hits: own, isExhausted: own.length < k });
  }
}

/** Reads the bases of hits of queries that bound them. */
async function readBases(
  store: VectorStore,
  open: readonly Running[],
  bases: Map<string, string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const wanted = new Map<string, Set<string>>();
  for (const { query, found, kept } of open) {
    if (query.maxPerBase === 0) continue;
    for (const { spaceId, modelId } of kept) {
      if (!bases.has(toKey(spaceId, modelId))) wanted.set(spaceId, (wanted.get(spaceId) ?? new Set()).add(modelId));
    }
    for (const [spaceId, { hits }] of found) {
      const ids = wanted.get(spaceId) ?? new Set();
      for (const { id } of hits) if (!bases.has(toKey(spaceId, id))) ids.add(id);
      wanted.set(spaceId, ids);
    }
  }
  await visitStoredModels(store, wanted, (spaceId, { id, base }) => bases.set(toKey(spaceId, id), base), signal);
}

function conclude(running: Running, bases: ReadonlyMap<string, string>): void {
  if (running.outcome !== undefined) return;
  const { query, k, full, kept } = running;
  const found = [...running.found.values()].map((one) => withKept(one, kept));
  running.found.clear();
  const baseOf = ({ spaceId, modelId }: SpaceHit): string => bases.get(toKey(spaceId, modelId)) ?? "";
  const { hits, isOpen } = mergeHits(query, found, baseOf);
  if (!isOpen) {
    running.outcome = hits;
    return;
  }
  running.k = Math.min(maxHits, 2 * k);
  if (query.maxPerBase > 0 && running.k > mostPlainHits) {
    running.full = toFullBases(hits, baseOf, query.maxPerBase);
    running.kept = hits.filter((hit) => running.full.has(baseOf(hit)));
  }
  if (k < maxHits || running.full.size > full.size) return;
  // A store gives no more, and what it gives would be the same again.
  const last = found.map((one) => ({ ...one, isExhausted: true }));
  running.outcome = mergeHits(query, last, baseOf).hits;
}

function toKey(spaceId: string, id: string): string {
  return `${spaceId}${id}`;
}
