/**
 * How two models are the same, the surest first: the same bytes; the same weights; roundings of the same to other types;
 * LoRA layers with the same products; a quantised or pruned copy.
 */
export type DuplicateKind = (typeof duplicateKinds)[number];

/** In the order of what they say. */
export const duplicateKinds = ["file", "weights", "dtype", "factors", "near"] as const;

/** Two models that are the same. */
export interface DuplicateLink {
  readonly kind: DuplicateKind;
  readonly first: string;
  readonly second: string;
  /** ‖x − y‖ / ‖x‖ of all weights, or of the products of LoRA layers. */
  readonly distance: number;
}

/** A model of a group. */
export interface Duplicate {
  readonly location: string;
  /** How it is the same as `of`; absent for the group's first one. */
  readonly link?: { readonly kind: DuplicateKind; readonly of: string; readonly distance: number };
}

/** Models that are the same. */
export interface DuplicateGroup {
  /** The least that all have in common: the last of their kinds in the order of {@link duplicateKinds}. */
  readonly kind: DuplicateKind;
  /** The one that most are the same as, then the others. */
  readonly models: readonly [Duplicate, ...Duplicate[]];
  /** The largest of their distances. */
  readonly distance: number;
}

/**
 * Groups models that are the same, directly or by way of others. A group's first model is the one with most links; the
 * others are described by the surest way that leads there.
 *
 * @param orderOf place of a model where nothing else decides.
 * @returns the largest groups first.
 */
export function groupLinks(
  links: readonly DuplicateLink[],
  orderOf: (location: string) => number,
): readonly DuplicateGroup[] {
  const neighbours = new Map<string, DuplicateLink[]>();
  for (const link of links) {
    for (const model of [link.first, link.second]) {
      const own = neighbours.get(model);
      if (own === undefined) neighbours.set(model, [link]);
      else own.push(link);
    }
  }
  const byLinks = [...neighbours].sort(([a, x], [b, y]) => y.length - x.length || orderOf(a) - orderOf(b));
  const taken = new Set<string>();
  const groups: DuplicateGroup[] = [];
  for (const [location] of byLinks) {
    if (taken.has(location)) continue;
    const models = spread(location, neighbours, taken, orderOf);
    const [first, ...others] = models;
    const worst = others.reduce((most, { link }) => Math.max(most, link === undefined ? 0 : rankOf(link.kind)), 0);
    const distance = others.reduce((most, { link }) => Math.max(most, link?.distance ?? 0), 0);
    if (first !== undefined)
      groups.push({ kind: duplicateKinds[worst] ?? "near", models: [first, ...others], distance });
  }
  return groups.sort(
    (a, b) => b.models.length - a.models.length || orderOf(a.models[0].location) - orderOf(b.models[0].location),
  );
}

/** All models that links lead to, along the surest ones first. */
function spread(
  start: string,
  neighbours: ReadonlyMap<string, readonly DuplicateLink[]>,
  taken: Set<string>,
  orderOf: (location: string) => number,
): Duplicate[] {
  const found: Duplicate[] = [{ location: start }];
  taken.add(start);
  const open = [...(neighbours.get(start) ?? [])];
  for (;;) {
    const at = toSurest(open);
    const link = open[at];
    if (link === undefined) break;
    open.splice(at, 1);
    const { kind, distance, first, second } = link;
    const [of, location] = taken.has(first) ? [first, second] : [second, first];
    if (taken.has(location)) continue;
    taken.add(location);
    found.push({ location, link: { kind, of, distance } });
    open.push(...(neighbours.get(location) ?? []));
  }
  const [first, ...others] = found;
  return first === undefined ? [] : [first, ...others.sort((a, b) => orderOf(a.location) - orderOf(b.location))];
}

function toSurest(links: readonly DuplicateLink[]): number {
  let best = 0;
  for (const [at, link] of links.entries()) {
    const other = links[best];
    if (other !== undefined && rankOf(link.kind) < rankOf(other.kind)) best = at;
  }
  return best;
}

function rankOf(kind: DuplicateKind): number {
  return duplicateKinds.indexOf(kind);
}
