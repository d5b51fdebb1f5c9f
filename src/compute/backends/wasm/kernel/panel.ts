import { tileColumns, tileRowBytes } from "./tile";

/** Panels that `columns` columns fill. */
@inline
export function panelCount(columns: usize): usize {
  return (columns + tileColumns - 1) / tileColumns;
}

/**
 * Lays rows of float32 numbers out in panels: eight columns each, row by row, so that a tile reads its factor B from
 * one stretch of memory. Row i of panel p begins at `target` + p · `panelBytes` + i · 32; the last panel is filled up
 * with zeros.
 *
 * Row i of the source begins at `source` + i · `rowBytes` and has `columns` numbers.
 */
export function packPanels(
  source: usize,
  rowBytes: usize,
  rowCount: usize,
  columns: usize,
  target: usize,
  panelBytes: usize,
): void {
  const fullPanels = columns / tileColumns;
  const rest = columns % tileColumns;
  for (let row: usize = 0; row < rowCount; row++) {
    let from = source + row * rowBytes;
    let to = target + row * tileRowBytes;
    for (let panel: usize = 0; panel < fullPanels; panel++) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      from += tileRowBytes;
      to += panelBytes;
    }
    if (rest > 0) {
      for (let i: usize = 0; i < rest; i++) store<f32>(to + i * 4, load<f32>(from + i * 4));
      for (let i: usize = rest; i < tileColumns; i++) store<f32>(to + i * 4, 0);
    }
  }
}
