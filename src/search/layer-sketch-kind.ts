import { InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import type { StatePart } from "../projection/accumulator.js";
import type { LayerSpec } from "../weights/layer.js";

/** Kind and version of the sketches that tell how a layer stands to a Model Tree, as the contract has them. */
export const layerSketchKinds = { dense: "rows/1", lora: "moments/1" } as const satisfies Record<
  LayerSpec["kind"],
  string
>;

/**
 * Guards a sketch that a stranger made.
 *
 * @throws InvalidInputError `FIELD_INVALID` for one of another kind, `SHAPE_MISMATCH`, `NON_FINITE`.
 */
export function assertSketch(part: StatePart, wanted: Omit<StatePart, "values">): void {
  const facts = { sketch: wanted.name };
  const name = part.name.slice(0, 80);
  if (name !== wanted.name) {
    const message = `a sketch is "${name}"; the plan asks for "${wanted.name}" of the layer`;
    throw new InvalidInputError("FIELD_INVALID", message, facts);
  }
  if (part.rows !== wanted.rows || part.columns !== wanted.columns) {
    const message = `the sketch "${name}" has the shape [${part.rows}, ${part.columns}]; that of the layer has [${wanted.rows}, ${wanted.columns}]`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, facts);
  }
  if (allFinite(part.values)) return;
  throw new InvalidInputError("NON_FINITE", `the sketch "${name}" has a number that is not finite`, facts);
}
