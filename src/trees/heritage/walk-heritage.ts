import type { Heritage } from "./infer-heritage.js";

/** A model in the order in which people read a family tree. */
export interface HeritageRow {
  readonly model: number;
  readonly parent: number | undefined;
  /** Steps from the root. */
  readonly depth: number;
  /** Distance from the parent; 0 of the root. */
  readonly distance: number;
  /** Models that were fine-tuned from it, directly or not. */
  readonly descendants: number;
}

/** The models from the root on, each followed by its children, the nearest first, with theirs. */
export function walkHeritage({ root, edges }: Heritage): HeritageRow[] {
  const children = new Map<number, { child: number; distance: number }[]>();
  for (const { parent, child, distance } of edges) {
    children.set(parent, [...(children.get(parent) ?? []), { child, distance }]);
  }
  const rows: HeritageRow[] = [];
  // A chain of fine-tunes may be longer than the call stack.
  const open: Omit<HeritageRow, "descendants">[] = [{ model: root, parent: undefined, depth: 0, distance: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { model, depth } = next;
    rows.push({ ...next, descendants: 0 });
    const own = [...(children.get(model) ?? [])].sort((a, b) => b.distance - a.distance);
    open.push(...own.map(({ child, distance }) => ({ model: child, parent: model, depth: depth + 1, distance })));
  }
  const places = new Map(rows.map(({ model }, place) => [model, place]));
  const counts = rows.map(() => 0);
  for (let place = rows.length - 1; place > 0; place--) {
    const parent = places.get(rows[place]?.parent ?? root) ?? 0;
    counts[parent] = (counts[parent] ?? 0) + (counts[place] ?? 0) + 1;
  }
  return rows.map((row, place) => ({ ...row, descendants: counts[place] ?? 0 }));
}
