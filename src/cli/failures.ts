import type { ProbestreamError } from "../errors/probestream-error.js";
import { toPlain } from "./table.js";

/** A model that could not be embedded. */
export interface Failure {
  readonly file: string;
  readonly error: ProbestreamError;
}

/** Files named of those that failed for the very same reason. */
const maxNamed = 20;

/** Lines that name the failed files, each with its reason and message; the same message is said once. */
export function toFailureLines(failures: readonly Failure[]): string[] {
  const groups = new Map<string, Failure[]>();
  for (const failure of failures) {
    const { reason, message } = failure.error;
    const key = toPlain(`${reason}: ${message}`);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [failure]);
    else group.push(failure);
  }
  return [...groups].flatMap(([text, group]) => {
    const [first, ...others] = group.map(({ file }) => toPlain(file));
    if (others.length === 0) return [`  ${first}: ${text}`];
    const named = [first, ...others].slice(0, maxNamed).map((file) => `    ${file}`);
    const more = group.length > maxNamed ? [`    and ${group.length - maxNamed} more (--json names all)`] : [];
    return [`  ${group.length} files: ${text}`, ...named, ...more];
  });
}
