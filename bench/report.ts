/** The middle of some numbers; of an even count, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new Error("the median of nothing");
  return (lower + upper) / 2;
}

/** The mean of some numbers; NaN of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The number that a share of the others, 0 to 1, lies below; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Median, smallest and largest of some numbers, as text. */
export function toSpread(values: readonly number[], digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}

/** Bytes as MiB, with one decimal. */
export function toMebibytes(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1);
}

/** A markdown table. */
export function toMarkdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** `met` or `NOT met`, with what was measured and what was wanted. */
export function toVerdict(met: boolean, measured: string, wanted: string): string {
  return `- ${met ? "met" : "NOT met"}: ${measured} (wanted: ${wanted})`;
}

/** What was to be met: whether it was, what was measured, what was wanted. */
export type Verdict = readonly [met: boolean, measured: string, wanted: string];

/** Prints verdicts, a line each, and tells whether all were met. */
export function printVerdicts(verdicts: readonly Verdict[]): boolean {
  for (const verdict of verdicts) console.log(toVerdict(...verdict));
  return verdicts.every(([met]) => met);
}

/** ‖a − b‖₂ / ‖b‖₂. */
export function relativeError(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || b.length === 0) throw new Error(`${a.length} numbers beside ${b.length}`);
  const norm = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(a.map((value, index) => value - (b[index] ?? Number.NaN))) / norm(b);
}
