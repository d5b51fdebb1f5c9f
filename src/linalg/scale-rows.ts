/**
 * Multiplies rows in place, each by its own factor or all by one.
 *
 * @param values rows × columns, row-major; the first is row `rowBegin` of those that factors are of.
 */
export function scaleRows(values: Float32Array, columns: number, factors: Float32Array, rowBegin = 0): void {
  if (factors.length === 1 && factors[0] === 1) return;
  for (let begin = 0, row = rowBegin; begin < values.length; begin += columns, row++) {
    const factor = factors[factors.length === 1 ? 0 : row] as number;
    for (let i = begin; i < begin + columns; i++) values[i] = (values[i] as number) * factor;
  }
}
