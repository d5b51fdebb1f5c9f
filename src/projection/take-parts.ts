import { InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import type { StatePart } from "./accumulator.js";

/** A part that an accumulator wants. */
export type WantedPart = Omit<StatePart, "values">;

/**
 * Finds the numbers of the wanted parts among those that came, in the order of the former.
 *
 * @param layer the layer's tensor, for messages.
 * @throws InvalidInputError `FIELD_INVALID` where a part is missing or unknown, `DUPLICATE` for one that stands twice,
 * `SHAPE_MISMATCH`, `NON_FINITE`.
 */
export function takeParts(parts: readonly StatePart[], wanted: readonly WantedPart[], layer: string): Float32Array[] {
  const listed = wanted.map(({ name, rows, columns }) => `"${name}" [${rows}, ${columns}]`).join(", ");
  const facts = { tensor: layer };
  const byName = new Map<string, StatePart>();
  for (const part of parts) {
    const name = part.name.slice(0, 80);
    if (!wanted.some((one) => one.name === part.name)) {
      const message = `the sums of "${layer}" have a part "${name}"; they are made of ${listed}`;
      throw new InvalidInputError("FIELD_INVALID", message, { ...facts, part: name });
    }
    if (byName.has(part.name)) {
      const message = `the part "${name}" of the sums of "${layer}" stands twice`;
      throw new InvalidInputError("DUPLICATE", message, { ...facts, part: name });
    }
    byName.set(part.name, part);
  }
  return wanted.map(({ name, rows, columns }) => {
    const part = byName.get(name);
    if (part === undefined) {
      const message = `the sums of "${layer}" lack the part "${name}"; they are made of ${listed}`;
      throw new InvalidInputError("FIELD_INVALID", message, { ...facts, part: name });
    }
    if (part.rows !== rows || part.columns !== columns || part.values.length !== rows * columns) {
      const message = `the part "${name}" of the sums of "${layer}" has the shape [${part.rows}, ${part.columns}]; the expert wants [${rows}, ${columns}]`;
      throw new InvalidInputError("SHAPE_MISMATCH", message, { ...facts, part: name });
    }
    if (!allFinite(part.values)) {
      const message = `the part "${name}" of the sums of "${layer}" has a number that is not finite; look for NaN and infinity among the weights`;
      throw new InvalidInputError("NON_FINITE", message, { ...facts, part: name });
    }
    return part.values;
  });
}
