/**
 * Inner products of all pairs of rows in float64, rows × rows: what the kernel is held to.
 *
 * @param values rows × columns, row-major.
 */
export function toPlainGram(values: Float32Array, rows: number): Float64Array {
  const columns = values.length / rows;
  const gram = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    for (let j = i; j < rows; j++) {
      let sum = 0;
      for (let k = 0; k < columns; k++)
        sum += (values[i * columns + k] as number) * (values[j * columns + k] as number);
      gram[i * rows + j] = sum;
      gram[j * rows + i] = sum;
    }
  }
  return gram;
}
