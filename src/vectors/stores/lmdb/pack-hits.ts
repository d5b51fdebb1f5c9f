import type { Hit } from "../../vector-store.js";
import type { PackedHits, SearchRequest } from "./messages.js";

/** Hits for the way between threads, without those that this caller did not ask for. */
export function packHits(
  hits: readonly (readonly Hit[])[],
  { k, minCosine = Number.NEGATIVE_INFINITY }: Pick<SearchRequest, "k" | "minCosine">,
): PackedHits {
  const wanted = hits.map((one) => one.slice(0, k).filter(({ cosine }) => cosine >= minCosine));
  const all = wanted.flat();
  return {
    counts: wanted.map(({ length }) => length),
    ids: all.map(({ id }) => id),
    cosines: Float64Array.from(all, ({ cosine }) => cosine),
  };
}

/** Hits that came between threads. */
export function unpackHits({ counts, ids, cosines }: PackedHits): Hit[][] {
  let at = 0;
  return counts.map((count) =>
    Array.from({ length: count }, () => {
      const hit = { id: ids[at] ?? "", cosine: cosines[at] ?? Number.NaN };
      at++;
      return hit;
    }),
  );
}
