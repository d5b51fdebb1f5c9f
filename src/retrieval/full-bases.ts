import { compareText } from "../vectors/compare-text.js";
import type { Filter } from "../vectors/filter.js";
import type { SpaceHit, SpaceHits } from "./merge-hits.js";

/** Bases that are left out at most: a filter may have 10,000 values, and the query's own is a part of it. */
const mostLeftOut = 1000;

/**
 * Bases of which there are as many models as there may be, the first thousand of them.
 *
 * @param hits best first, as they are merged.
 * @param maxPerBase models of one base, at most.
 */
export function toFullBases(
  hits: readonly SpaceHit[],
  baseOf: (hit: SpaceHit) => string,
  maxPerBase: number,
): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const base of hits.map(baseOf)) if (base !== "") counts.set(base, (counts.get(base) ?? 0) + 1);
  const full = [...counts].filter(([, count]) => count >= maxPerBase);
  return new Set(full.slice(0, mostLeftOut).map(([base]) => base));
}

/** A filter under which no models of these bases are found. */
export function leaveOut(bases: ReadonlySet<string>, filter: Filter | undefined): Filter | undefined {
  if (bases.size === 0) return filter;
  const others: Filter = { not: { field: "base", op: "in", value: [...bases] } };
  return filter === undefined ? others : { and: [others, filter] };
}

/** What a space gave under {@link leaveOut}, with those of its models that it was not asked for again. */
export function withKept({ hits, ...rest }: SpaceHits, kept: readonly SpaceHit[]): SpaceHits {
  const own = kept.filter(({ spaceId }) => spaceId === rest.space.spaceId);
  if (own.length === 0) return { hits, ...rest };
  const all = new Map([...own.map(({ modelId: id, cosine }) => ({ id, cosine })), ...hits].map((hit) => [hit.id, hit]));
  return { ...rest, hits: [...all.values()].sort((a, b) => b.cosine - a.cosine || compareText(a.id, b.id)) };
}
