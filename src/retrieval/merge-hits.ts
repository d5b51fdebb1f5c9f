import { compareText } from "../vectors/compare-text.js";
import type { Hit } from "../vectors/vector-store.js";
import type { PreparedQuery, SpaceQuery } from "./prepared-query.js";

/** A model found in one space. */
export interface SpaceHit {
  readonly modelId: string;
  readonly spaceId: string;
  readonly cosine: number;
  readonly score: number | undefined;
}

/** What one space gave for a query. */
export interface SpaceHits {
  readonly space: SpaceQuery;
  /** Nearest first. */
  readonly hits: readonly Hit[];
  /** Whether it has no more. */
  readonly isExhausted: boolean;
}

/** Models found so far. */
export interface MergedHits {
  /** Best first, `k` at most. */
  readonly hits: readonly SpaceHit[];
  /** Whether asking the spaces for more could change them. */
  readonly isOpen: boolean;
}

/**
 * Merges what spaces gave for a query: of one space in its order, by cosine and id; of several by score, then cosine (scores
 * of models that surely fit are all 1), then id by its UTF-8 bytes, then space id. A model of several spaces stands where it
 * fits best. Models that the query names are left out, and those beyond `maxPerBase` of one base.
 *
 * @param baseOf base of a model; asked only where the query bounds them.
 */
export function mergeHits(
  query: Pick<PreparedQuery, "k" | "minScore" | "maxPerBase" | "excluded">,
  found: readonly SpaceHits[],
  baseOf: (hit: SpaceHit) => string,
): MergedHits {
  const { k, minScore = 0, maxPerBase, excluded } = query;
  const isOne = found.length === 1;
  const ranked = found.flatMap(({ space, hits }) => hits.map((hit) => toSpaceHit(space, hit)));
  if (!isOne) ranked.sort(compareHits);
  // What a space has not given yet comes after the last that it gave.
  const frontiers = found.flatMap(({ space, hits, isExhausted }) => {
    const last = hits.at(-1);
    return isExhausted || last === undefined ? [] : [toSpaceHit(space, last)];
  });
  const seen = new Set(excluded);
  const perBase = new Map<string, number>();
  const kept: SpaceHit[] = [];
  let isOpen = frontiers.length > 0;
  for (const hit of ranked) {
    if (!isOne && frontiers.some((frontier) => compareHits(frontier, hit) < 0)) break;
    if (hit.score !== undefined && hit.score < minScore) {
      isOpen = false;
      break;
    }
    if (seen.has(hit.modelId)) continue;
    seen.add(hit.modelId);
    if (maxPerBase > 0) {
      const base = baseOf(hit);
      const count = (perBase.get(base) ?? 0) + 1;
      if (base !== "" && count > maxPerBase) continue;
      perBase.set(base, count);
    }
    kept.push(hit);
    if (kept.length === k) return { hits: kept, isOpen: false };
  }
  return { hits: kept, isOpen };
}

/** Order of hits of several spaces. */
function compareHits(a: SpaceHit, b: SpaceHit): number {
  return (
    (b.score ?? b.cosine) - (a.score ?? a.cosine) ||
    b.cosine - a.cosine ||
    compareText(a.modelId, b.modelId) ||
    compareText(a.spaceId, b.spaceId)
  );
}

function toSpaceHit({ spaceId, scorer }: SpaceQuery, { id, cosine }: Hit): SpaceHit {
  return { modelId: id, spaceId, cosine, score: scorer?.(cosine) };
}
