/** Squared l2 distance of the first `count` numbers. */
export function squaredDistance(a: Float64Array, b: Float64Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}
