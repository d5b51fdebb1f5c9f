import type { ProbestreamError } from "../errors/probestream-error.js";
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
 * files' own names in it.
 */
export function toFailureLines(failures: readonly Failure[]): string[] {
  const groups = new Map<string, Failure[]>();
  for (const failure of failures) {
    const key = toText(failure).replaceAll(JSON.stringify(failure.file), '"…"');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [failure]);
    else group.push(failure);
  }
  return [...groups].flatMap(([text, group]) => {
    const [first, ...others] = group;
    if (first !== undefined && others.length === 0) return [toPlain(`  ${first.file}: ${toText(first)}`)];
    const named = group.slice(0, maxNamed).map(({ file }) => toPlain(`    ${file}`));
    const more = group.length > maxNamed ? [`    and ${group.length - maxNamed} more (--json names all)`] : [];
    return [toPlain(`  ${group.length} files: ${text}`), ...named, ...more];
  });
}

function toText({ error: { reason, message } }: Failure): string {
  return `${reason}: ${message}`;
}
