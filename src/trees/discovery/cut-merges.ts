import type { Dendrogram } from "./ward.js";

/** Groups that a dendrogram falls into. */
export interface Groups {
  /** n: each point's group, numbered from 0 in the order of their first points. */
  readonly labels: Int32Array;
  /** Per group the one that it was cut off from: of two sides the larger one's; -1 for the group that was cut off from none. */
  readonly parents: Int32Array;
}

/**
 * Cuts merges of a dendrogram. Of a merge that is cut the smaller side becomes a group of its own; merges further up take
 * in the larger side only. So each cut gives one group more, wherever it is: a model unlike all others is cut out of the
 * large tree that it was merged into.
 */
export function cutMerges({ count, left, right }: Dendrogram, cuts: Iterable<number>): Groups {
  const isCut = new Set(cuts);
  const nodes = count + left.length;
  const sizes = new Int32Array(nodes).fill(1, 0, count);
  // A point that stands for a node's main group, and what each point was joined to.
  const mains = Int32Array.from({ length: nodes }, (_, node) => node);
  const joined = Int32Array.from({ length: count }, (_, point) => point);
  const findTop = (point: number): number => {
    let top = point;
    while (joined[top] !== top) {
      joined[top] = joined[joined[top] as number] as number;
      top = joined[top] as number;
    }
    return top;
  };
  const cutOff: [number, number][] = [];
  for (let merge = 0; merge < left.length; merge++) {
    const sides = [left[merge] as number, right[merge] as number];
    const [large, small] = sides.sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b) as [
      number,
      number,
    ];
    const [main, other] = [mains[large] as number, mains[small] as number];
    if (isCut.has(merge)) cutOff.push([other, main]);
    else joined[findTop(other)] = findTop(main);
    mains[count + merge] = main;
    sizes[count + merge] = (sizes[large] as number) + (sizes[small] as number);
  }
  const numbers = new Map<number, number>();
  const labels = Int32Array.from({ length: count }, (_, point) => {
    const top = findTop(point);
    const number = numbers.get(top) ?? numbers.size;
    numbers.set(top, number);
    return number;
  });
  const parents = new Int32Array(numbers.size).fill(-1);
  for (const [other, main] of cutOff) parents[labels[other] as number] = labels[main] as number;
  return { labels, parents };
}
