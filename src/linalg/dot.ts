/**
 * Product of a vector, or some of its numbers, with as many numbers of another from `at` on, in float64. Four sums, for each
 * addition waits for the last one of its sum.
 */
export function dot(a: Float32Array, b: Float32Array, at = 0, begin = 0, end = a.length): number {
  let [first, second, third, fourth] = [0, 0, 0, 0];
  const whole = end - ((end - begin) % 4);
  const shift = at - begin;
  for (let i = begin; i < whole; i += 4) {
    first += (a[i] as number) * (b[shift + i] as number);
    second += (a[i + 1] as number) * (b[shift + i + 1] as number);
    third += (a[i + 2] as number) * (b[shift + i + 2] as number);
    fourth += (a[i + 3] as number) * (b[shift + i + 3] as number);
  }
  for (let i = whole; i < end; i++) first += (a[i] as number) * (b[shift + i] as number);
  return first + second + third + fourth;
}
