import type { ExecutionContext } from "ava";
import type { Hit, VectorQueries, VectorStore } from "../../src/vectors/vector-store.js";

/**
 * Asserts that a store finds what another one, the oracle, does. Cosines may differ by a tolerance, and records whose
 * cosines differ by less may change places; but nothing better may be missing, and equal cosines order by id.
 */
export async function assertSameHits(
  t: ExecutionContext<unknown>,
  stores: { readonly store: VectorStore; readonly oracle: VectorStore; readonly tolerance: number },
  spaceId: string,
  queries: VectorQueries,
): Promise<void> {
  const found = await stores.store.search(spaceId, queries);
  const all = await stores.oracle.search(spaceId, { ...queries, k: 10_000, minCosine: undefined });
  t.is(found.length, all.length, "one answer per query");
  for (const [query, hits] of found.entries()) {
    assertHits(t, hits, all[query] ?? [], { ...queries, tolerance: stores.tolerance });
  }
}

/** Asserts that hits are the best of all records, which come with exact cosines. */
function assertHits(
  t: ExecutionContext<unknown>,
  hits: readonly Hit[],
  all: readonly Hit[],
  {
    k,
    minCosine = -2,
    tolerance,
  }: { readonly k: number; readonly minCosine?: number | undefined; readonly tolerance: number },
): void {
  const exact = new Map(all.map(({ id, cosine }) => [id, cosine]));
  for (const { id, cosine } of hits) {
    const expected = exact.get(id);
    if (expected === undefined) throw t.fail(`${id} is not among the records that the filter leaves`);
    if (Math.abs(cosine - expected) > tolerance) throw t.fail(`${id} has ${cosine} instead of ${expected}`);
    if (cosine < minCosine || Math.abs(cosine) > 1) throw t.fail(`${id} has the cosine ${cosine}`);
  }
  t.is(new Set(hits.map(({ id }) => id)).size, hits.length, "each record once");
  for (const [index, { id, cosine }] of hits.entries()) {
    const next = hits[index + 1];
    if (next === undefined) break;
    if (next.cosine > cosine) throw t.fail(`${next.id} is nearer than ${id} before it`);
    if (next.cosine === cosine && Buffer.compare(Buffer.from(id), Buffer.from(next.id)) > 0) {
      throw t.fail(`${id} comes before ${next.id} though both have ${cosine}`);
    }
  }
  const atLeast = all.filter(({ cosine }) => cosine >= minCosine + tolerance).length;
  const atMost = all.filter(({ cosine }) => cosine >= minCosine - tolerance).length;
  t.true(hits.length >= Math.min(k, atLeast) && hits.length <= Math.min(k, atMost), `${hits.length} hits`);
  const last = hits.length < k ? minCosine : (hits.at(-1)?.cosine ?? minCosine);
  const ids = new Set(hits.map(({ id }) => id));
  const missing = all.find(({ id, cosine }) => cosine > last + 2 * tolerance && !ids.has(id));
  if (missing !== undefined) throw t.fail(`${missing.id} with ${missing.cosine} is missing; the last has ${last}`);
}
