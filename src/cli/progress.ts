import type { EmbedProgress } from "../search/embed-files-progress.js";
import { formatClock } from "./duration.js";
import { formatBytes } from "./size.js";
import type { Terminal } from "./terminal.js";

/** Shows how far embedding is. */
export interface ProgressView {
  /** Takes note; shown at the next tick. */
  update(progress: EmbedProgress): void;
  stop(): void;
}

/** How often a bar is drawn anew, in milliseconds. */
const barEveryMs = 100;

/** How often a line is written where there is no terminal, in milliseconds. */
const lineEveryMs = 5000;

/** Up to so many models, the share that is done is counted in bytes: they are large. */
const fewModels = 64;

/** Starts showing progress over `total` models: a bar on a terminal, elsewhere a line every few seconds. */
export function showProgress(terminal: Terminal, total: number): ProgressView {
  const startedAt = performance.now();
  let latest: EmbedProgress | undefined;
  const tick = (): void => {
    if (latest === undefined) return;
    const figures = toFigures(latest, total, performance.now() - startedAt);
    if (terminal.hasStatus) terminal.showStatus(toBar(figures, terminal.columns));
    else terminal.remark(toLine(figures));
  };
  const timer = setInterval(tick, terminal.hasStatus ? barEveryMs : lineEveryMs);
  return {
    update: (progress) => {
      latest = progress;
    },
    stop: () => {
      clearInterval(timer);
      terminal.showStatus("");
    },
  };
}

/** What there is to say at one moment. */
export interface ProgressFigures {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  /** 0 to 1. */
  readonly share: number;
  readonly bytesPerSecond: number;
  readonly modelsPerSecond: number;
  /** Absent while there is nothing to tell it from. */
  readonly secondsLeft: number | undefined;
}

/** Rates and what is left, `elapsedMs` after the start. */
export function toFigures(progress: EmbedProgress, total: number, elapsedMs: number): ProgressFigures {
  const { modelsDone: done, modelsFailed: failed, bytesWanted, bytesDone, bytesSent } = progress;
  const byBytes = total <= fewModels && bytesWanted > 0;
  const share = byBytes ? bytesDone / bytesWanted : done / Math.max(1, total);
  const seconds = elapsedMs / 1000;
  return {
    done,
    total,
    failed,
    share,
    bytesPerSecond: bytesSent / seconds,
    modelsPerSecond: done / seconds,
    secondsLeft: share > 0 ? (seconds * (1 - share)) / share : undefined,
  };
}

/** `[#######-----------] 812/2400 models  35 MB/s  790 models/s  0:02 left`, at most `columns` wide. */
export function toBar(figures: ProgressFigures, columns: number): string {
  const { share, done, total, failed, modelsPerSecond, bytesPerSecond, secondsLeft } = figures;
  const facts = [
    `${done}/${total} models`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    `${formatBytes(bytesPerSecond)}/s`,
    `${formatRate(modelsPerSecond)} models/s`,
    ...(secondsLeft === undefined ? [] : [`${formatClock(secondsLeft)} left`]),
  ].join("  ");
  const width = Math.min(30, columns - facts.length - 5);
  if (width < 5) return facts.slice(0, columns - 1);
  const filled = Math.round(width * Math.min(1, share));
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${facts}`;
}

function toLine({ done, total, failed, modelsPerSecond, bytesPerSecond, secondsLeft }: ProgressFigures): string {
  const failures = failed > 0 ? ` (${failed} failed)` : "";
  const left = secondsLeft === undefined ? "" : `, ${formatClock(secondsLeft)} left`;
  return `${done} of ${total} models${failures}, ${formatBytes(bytesPerSecond)}/s, ${formatRate(modelsPerSecond)} models/s${left}`;
}

/** A rate with about three digits. */
export function formatRate(rate: number): string {
  return rate >= 99.95 ? rate.toFixed(0) : rate >= 9.995 ? rate.toFixed(1) : rate.toFixed(2);
}
