/**
 * Product of a vector with as many numbers of another from `at` on, in float64. Four sums, for each addition waits for the
 * last one of its sum.
 */
export function dot(a: Float32Array, b: Float32Array, at = 0): number {
  let [first, second, third, fourth] = [0, 0, 0, 0];
  const whole = a.length - (a.length % 4);
  for (let i = 0; i < whole; i += 4) {
    first += (a[i] as number) * (b[at + i] as number);
    second += (a[i + 1] as number) * (b[at + i + 1] as number);
    third += (a[i + 2] as number) * (b[at + i + 2] as number);
    fourth += (a[i + 3] as number) * (b[at + i + 3] as number);
  }
  for (let i = whole; i < a.length; i++) first += (a[i] as number) * (b[at + i] as number);
  return first + second + third + fourth;
}
