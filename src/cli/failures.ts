import type { ProbestreamError } from "../errors/probestream-error.js";
import { toStackLines } from "./stack-text.js";
import { toPlain } from "./table.js";

/** A model that could not be embedded. */
export interface Failure {
  readonly file: string;
  readonly error: ProbestreamError;
}

/** Files named of those that failed for the very same reason. */
const maxNamed = 20;

/**
 * Lines that name the failed files, each with its reason and message; the same message is said once, with "…" for the
 * files' own names in it. With `isDebug` each message is followed by the stack of its error, or of the first of those
 * that have it.
 */
export function toFailureLines(failures: readonly Failure[], isDebug: boolean): string[] {
  const groups = new Map<string, Failure[]>();
  for (const failure of failures) {
    const key = toText(failure).replaceAll(JSON.stringify(failure.file), '"…"');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [failure]);
    else group.push(failure);
  }
  return [...groups].flatMap(([text, group]) => {
    const [first, ...others] = group;
    const stack = isDebug ? toStackLines(first?.error).map((line) => `    ${line}`) : [];
    if (first !== undefined && others.length === 0) return [toPlain(`  ${toLabelled(first)}`), ...stack];
    const named = group.slice(0, maxNamed).map(({ file }) => toPlain(`    ${file}`));
    const more = group.length > maxNamed ? [`    and ${group.length - maxNamed} more (--json names all)`] : [];
    return [toPlain(`  ${group.length} files: ${text}`), ...named, ...more, ...stack];
  });
}

/** Most messages name their file; the others get its name in front. */
function toLabelled(failure: Failure): string {
  const isNamed = failure.error.message.includes(JSON.stringify(failure.file));
  return isNamed ? toText(failure) : `${failure.file}: ${toText(failure)}`;
}

function toText({ error: { reason, message } }: Failure): string {
  return `${reason}: ${message}`;
}
