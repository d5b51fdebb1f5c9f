/** The middle of some numbers; of an even count, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new Error("the median of nothing");
  return (lower + upper) / 2;
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

/** ‖a − b‖₂ / ‖b‖₂. */
export function relativeError(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || b.length === 0) throw new Error(`${a.length} numbers beside ${b.length}`);
  const norm = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(a.map((value, index) => value - (b[index] ?? Number.NaN))) / norm(b);
}
