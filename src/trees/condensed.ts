/**
 * Place of a pair in the condensed form of a symmetric n × n matrix: the numbers above the diagonal, row by row,
 * n·(n − 1)/2 of them.
 *
 * @param i, j different indices, in any order.
 */
export function toPairIndex(i: number, j: number, n: number): number {
  const [low, high] = i < j ? [i, j] : [j, i];
  return (low * (2 * n - low - 3)) / 2 + high - 1;
}

/** Numbers of the condensed form. */
export function toPairCount(n: number): number {
  return (n * (n - 1)) / 2;
}
