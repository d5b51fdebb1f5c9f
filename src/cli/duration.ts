import { InvalidArgumentError } from "commander";

const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, "": 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest that a timer takes, in milliseconds: 24 days. */
const maxMs = 2 ** 31 - 1;

/** Milliseconds of a duration such as `90`, `90s`, `500ms`, `10m`, `24h` or `7d`; without a unit, seconds. */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)$/.exec(text.trim()) ?? [];
  const ms = Math.round(Number(digits) * (factors[unit ?? "?"] ?? Number.NaN));
  if (ms >= 0 && ms <= maxMs) return ms;
  throw new InvalidArgumentError("A duration is a number with or without a unit, up to 24d: 90, 500ms, 10m, 24h.");
}

/** Seconds for people, as `m:ss` or `h:mm:ss`. */
export function formatClock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}
