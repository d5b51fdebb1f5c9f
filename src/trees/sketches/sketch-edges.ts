/** Row blocks of a sketch at most. */
export const MAX_SKETCH_BLOCKS = 128;
/** The first blocks, and the share of the rows that each has: eight of them are 1/256 of a layer. */
const smallBlocks = 16;
const smallShare = 1 / 2048;

/**
 * Where the row blocks of a sketch begin: block b holds the rows from the b-th edge up to the next. Sixteen small blocks,
 * of 1/2048 of the rows or one row each, then 112 equal ones; a block for each row where there are at most 128.
 *
 * Small ones first, because trees of different ancestors differ in every row: that can be told from a thousandth of a
 * layer, before anything else is worth computing.
 *
 * @returns one edge more than blocks, from 0 to `rowCount`.
 */
export function toSketchEdges(rowCount: number): number[] {
  if (rowCount <= MAX_SKETCH_BLOCKS) return Array.from({ length: rowCount + 1 }, (_, block) => block);
  const small = Array.from({ length: smallBlocks }, (_, block) =>
    Math.max(block, Math.floor(block * rowCount * smallShare)),
  );
  const first = Math.max(smallBlocks, Math.floor(smallBlocks * rowCount * smallShare));
  const equal = MAX_SKETCH_BLOCKS - smallBlocks;
  const rest = rowCount - first;
  return [...small, ...Array.from({ length: equal + 1 }, (_, block) => first + Math.floor((block * rest) / equal))];
}
