import { toCount, toFailedLines, toUnreadableLines } from "./embed-report.js";
import type { Failure } from "./failures.js";
import { formatRate } from "./progress.js";
import { formatBytes } from "./size.js";
import { toPlain } from "./table.js";

/** What `index` did so far; changes while it runs. */
export interface IndexTally {
  /** Models found. */
  readonly total: number;
  indexed: number;
  /** Bytes of the layers of those indexed. */
  bytes: number;
  /** Models that were there already, and those of them whose metadata was changed. */
  there: number;
  changed: number;
  /** Models that were indexed in the place of others: other weights under an id that was there. */
  readonly replaced: string[];
  /** Copies left out, and copies indexed: what is the same as what. */
  readonly skippedCopies: Copy[];
  readonly copies: Copy[];
  readonly failures: Failure[];
}

/** A model with the same weights as another. */
export interface Copy {
  readonly id: string;
  readonly copyOf: string;
}

/** Copies that are named, and models that were replaced. */
const modelsShown = 3;

/** Lines that say what became of all models, unless only failures are to be told. */
export function toIndexLines(
  tally: IndexTally,
  seconds: number,
  { isQuiet, isDebug }: { readonly isQuiet: boolean; readonly isDebug: boolean },
  unreadable: readonly Failure[],
): string[] {
  return [
    ...(isQuiet ? [] : toSummary(tally, seconds)),
    ...toFailedLines(tally.failures, isDebug),
    ...toUnreadableLines(unreadable, isDebug),
  ];
}

function toSummary(tally: IndexTally, seconds: number): string[] {
  const { total, indexed, bytes, there, changed, copies, skippedCopies, replaced } = tally;
  if (total === 0) return ["no model was found"];
  const rates =
    indexed === 0
      ? ""
      : ` in ${seconds.toFixed(1)} s (${formatRate(indexed / seconds)} models/s, ${formatBytes(bytes / seconds)}/s)`;
  const facts = [
    ...(there > 0 ? [`${there} there already`] : []),
    ...(changed > 0 ? [`${changed} of them with other metadata now`] : []),
    ...(skippedCopies.length > 0 ? [`${toCopies(skippedCopies.length)} left out`] : []),
  ];
  return [
    `${indexed} of ${toCount(total, "model")} indexed${rates}${facts.map((fact) => `, ${fact}`).join("")}`,
    ...toReplacedLines(replaced),
    ...toCopyLines("the same weights under two names", copies),
    ...toCopyLines("left out", skippedCopies),
  ];
}

function toReplacedLines(ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const advice = "they keep what was said of the others; --id-prefix keeps both";
  return [...toSomeLines(`${ids.length} replaced: other weights under the same id`, ids), advice];
}

function toCopies(count: number): string {
  return count === 1 ? "1 copy" : `${count} copies`;
}

function toCopyLines(what: string, copies: readonly Copy[]): string[] {
  return toSomeLines(
    what,
    copies.map(({ id, copyOf }) => `${id} = ${copyOf}`),
  );
}

/** A line that names the first of some models; none where there are none. */
function toSomeLines(what: string, models: readonly string[]): string[] {
  if (models.length === 0) return [];
  const more = models.length > modelsShown ? `, and ${models.length - modelsShown} more (--json names all)` : "";
  return [toPlain(`${what}: ${models.slice(0, modelsShown).join(", ")}${more}`)];
}
