import type { TreeMatch } from "./tree-match.js";

/** Where a model belongs among some trees; places count the matches. */
export interface NearestMatch {
  /** The nearest that accepts it; undefined if none does. */
  readonly chosen: number | undefined;
  /** All, the nearest first. */
  readonly ranked: readonly number[];
}

/** The paper's rule, the nearest tree, among those that accept the model. */
export function toNearestMatch(matches: readonly TreeMatch[]): NearestMatch {
  const distanceOf = (place: number): number => matches[place]?.distance ?? Number.POSITIVE_INFINITY;
  const ranked = [...matches.keys()].sort((a, b) => distanceOf(a) - distanceOf(b));
  return { chosen: ranked.find((place) => matches[place]?.isAccepted), ranked };
}

/** A match with the second nearest tree beside it, if there is one. */
export function withNext(matches: readonly TreeMatch[], { chosen, ranked }: NearestMatch): TreeMatch | undefined {
  const match = matches[chosen ?? -1];
  const next = matches[ranked.find((place) => place !== chosen) ?? -1];
  if (match === undefined || next === undefined) return match;
  return { ...match, next: { tree: next.tree, distance: next.distance } };
}
