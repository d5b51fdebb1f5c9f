/** Columns of a bar. */
const barWidth = 10;

/** Eighths of a column, from nothing to all but one. */
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A share as a bar of `barWidth` columns, drawn to an eighth of one; dots stand for what is missing to all. */
export function toScoreBar(share: number): string {
  const filled = Math.round(8 * barWidth * Math.min(1, Math.max(0, share)));
  const bar = `${"█".repeat(Math.floor(filled / 8))}${eighths[filled % 8]}`;
  return bar.padEnd(barWidth, "·");
}
