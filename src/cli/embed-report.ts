import { type Failure, toFailureLines } from "./failures.js";
import { formatRate } from "./progress.js";
import { formatBytes } from "./size.js";

/** What `embed` did. */
export interface EmbedReport {
  /** Models that were found. */
  readonly total: number;
  readonly embedded: number;
  /** Bytes of the layers embedded. */
  readonly bytes: number;
  readonly seconds: number;
  /** Models that could not be embedded. */
  readonly failures: readonly Failure[];
  /** Arguments, and folders in them, that could not be read: who knows how many models they hold. */
  readonly unreadable: readonly Failure[];
}

/** How much is said. */
export interface ReportDetail {
  /** No summary. */
  readonly isQuiet: boolean;
  /** Stacks of what failed. */
  readonly isDebug: boolean;
}

/** What `embed` says at its end: a summary, unless it is to be quiet, and what failed. */
export function toReportLines(report: EmbedReport, { isQuiet, isDebug }: ReportDetail): string[] {
  const { failures, unreadable } = report;
  return [
    ...(isQuiet ? [] : [toSummary(report)]),
    ...toFailedLines(failures, isDebug),
    ...toUnreadableLines(unreadable, isDebug),
  ];
}

/** Lines that name the models that failed; none where none did. */
export function toFailedLines(failures: readonly Failure[], isDebug: boolean): string[] {
  if (failures.length === 0) return [];
  return [`${toCount(failures.length, "model")} failed:`, ...toFailureLines(failures, isDebug)];
}

/** Lines that name the paths that could not be read; none where all could. */
export function toUnreadableLines(unreadable: readonly Failure[], isDebug: boolean): string[] {
  if (unreadable.length === 0) return [];
  return [`${toCount(unreadable.length, "path")} could not be read:`, ...toFailureLines(unreadable, isDebug)];
}

function toSummary({ total, embedded, bytes, seconds }: EmbedReport): string {
  if (total === 0) return "no model was found";
  const models = toCount(total, "model");
  // Rates of nothing say nothing.
  if (embedded === 0) return `0 of ${models} embedded`;
  const rates = `${formatRate(embedded / seconds)} models/s, ${formatBytes(bytes / seconds)}/s`;
  return `${embedded} of ${models} embedded in ${seconds.toFixed(1)} s (${rates})`;
}

/** `1 model`, `2 models`. */
export function toCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
