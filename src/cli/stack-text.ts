import { toPlain } from "./table.js";

/** Lines of an error's stack and of the causes under it, fit for a terminal: messages have names from files in them. */
export function toStackLines(error: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  let current = error;
  while (current !== undefined && !seen.has(current)) {
    const text = current instanceof Error ? (current.stack ?? `${current.name}: ${current.message}`) : String(current);
    lines.push(...`${seen.size === 0 ? "" : "caused by: "}${text}`.split("\n").map(toPlain));
    seen.add(current);
    current = current instanceof Error ? current.cause : undefined;
  }
  return lines;
}
