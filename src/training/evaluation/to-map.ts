import { UMAP } from "umap-js";
import { Random } from "../../linalg/random.js";
import type { Rows } from "../../linalg/rows.js";

/** Neighbours that each point keeps near. */
const neighbours = 15;
const seed = 0;

/**
 * Places representations on a plane so that neighbours stay neighbours: UMAP by cosine distance, the same for the same
 * rows. Fewer than four rows are put on a line.
 *
 * @returns x and y per row.
 * @see McInnes et al., 2018, https://arxiv.org/abs/1802.03426
 */
export function toMap({ width, values }: Rows): (readonly [number, number])[] {
  const rows = Array.from({ length: values.length / width }, (_, row) => [
    ...values.subarray(row * width, (row + 1) * width),
  ]);
  if (rows.length < 4) return rows.map((_, row) => [row, 0]);
  const random = new Random(seed);
  const umap = new UMAP({
    nNeighbors: Math.min(neighbours, rows.length - 1),
    random: () => random.next(),
    distanceFn: toCosineDistance,
  });
  return umap.fit(rows).map(([x = 0, y = 0]) => [x, y]);
}

function toCosineDistance(a: readonly number[], b: readonly number[]): number {
  let [product, normA, normB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    product += x * y;
    normA += x * x;
    normB += y * y;
  }
  return 1 - product / (Math.sqrt(normA * normB) || 1);
}
