/** A row-major matrix of float32 numbers. */
interface MatrixLike {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** Numbers per side of the tiles that are turned at a time: a tile's rows and columns stay in the first-level cache. */
const tile = 32;

/** The transpose of a matrix, as a new one. Memory: the matrix once more. */
export function transpose({ rows, columns, values }: MatrixLike): {
  rows: number;
  columns: number;
  values: Float32Array<ArrayBuffer>;
} {
  const turned = new Float32Array(values.length);
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(left + tile, columns);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          turned[column * rows + row] = values[row * columns + column] as number;
        }
      }
    }
  }
  return { rows: columns, columns: rows, values: turned };
}
