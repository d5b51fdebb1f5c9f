/** A quoted string of the DOT language, of several lines; control characters in a name could break it. */
export function toDotText(...lines: readonly string[]): string {
  const escaped = lines.map((line) =>
    line
      .replace(/\p{Cc}/gu, "\ufffd")
      .replaceAll("\\", "\\\\")
      .replaceAll('"', '\\"'),
  );
  return `"${escaped.join("\\n")}"`;
}
