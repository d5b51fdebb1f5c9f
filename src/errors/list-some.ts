/** Names for a message, the first of them at most: `a, b and 3 more`; `none` where there are none. */
export function listSome(names: readonly string[], most: number): string {
  if (names.length === 0) return "none";
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
