/** softmax(scale · scores) of one row. */
export function softmax(scores: Float32Array | Float64Array, scale: number): Float64Array {
  let highest = Number.NEGATIVE_INFINITY;
  for (const score of scores) highest = Math.max(highest, score);
  const powers = Float64Array.from(scores, (score) => Math.exp(scale * (score - highest)));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
