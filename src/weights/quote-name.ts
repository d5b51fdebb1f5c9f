/** Characters of a name that a message shows. Tensor names in use are shorter; those of `zoo/` measure 40. */
const MAX_SHOWN_CHARACTERS = 160;

/**
 * A name from a file, quoted for a message: shortened, and with control, format and surrogate characters escaped, so
 * that a hostile name can neither flood a log nor move a terminal's cursor.
 */
export function quoteName(name: string): string {
  const shown = name.length > MAX_SHOWN_CHARACTERS ? `${name.slice(0, MAX_SHOWN_CHARACTERS)}…` : name;
  return JSON.stringify(shown).replace(
    /\p{C}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
