import { InvalidInputError } from "../errors/probestream-error.js";

/**
 * Refuses options without a catalogue, which callers in JavaScript may give.
 *
 * @param caller the function that was given them, for the message.
 * @throws InvalidInputError `FIELD_INVALID`.
 */
export function assertCatalogue(options: unknown, caller: string): void {
  const catalogue = isObject(options) ? options["catalogue"] : undefined;
  if (isObject(catalogue) && ["list", "recent", "get"].every((name) => typeof catalogue[name] === "function")) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `${caller} was given ${isObject(options) ? `${toWord(catalogue)} as options.catalogue` : `${toWord(options)} as options`}; it needs { catalogue: openCatalogue(FOLDER) }`,
    { field: "catalogue" },
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function toWord(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  return typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : `a value of type ${typeof value}`;
}
