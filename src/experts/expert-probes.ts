import type { Matrix } from "../compute/compute-backend.js";
import { InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import type { LayerSpec } from "../weights/layer.js";
import { accumulatorIds, type ExpertArchitecture } from "./architecture.js";

/** A named tensor of an accumulator. */
export interface ProbeTensor extends Matrix {
  readonly name: string;
}

/**
 * What projects a layer for an expert: the part of it that may leave the server, so that weights need not leave their owner.
 * It depends on the expert's weights alone, so it is kept under its space id for good.
 */
export interface ExpertProbes {
  readonly spaceId: string;
  /** The expert's name, for people. */
  readonly name: string;
  readonly layer: LayerSpec;
  /** Kind and version of what sums up, see `toAccumulatorId`. */
  readonly accumulator: string;
  /** As the kind has it; of `probex/1`: `u`, U of d_W × r_U, and `v`, V of r_V × d_H. */
  readonly tensors: readonly ProbeTensor[];
}

/** Probes that were understood. */
export interface ParsedProbes {
  readonly architecture: ExpertArchitecture;
  /** U, d_W × r_U. */
  readonly u: Matrix;
  /** V, r_V × d_H. */
  readonly v: Matrix;
}

/**
 * Makes of named tensors what this version projects by.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for an accumulator that it does not know, `SHAPE_MISMATCH` for tensors that do
 * not fit the layer, `NON_FINITE`.
 */
export function parseProbes({ name, accumulator, layer, tensors }: ExpertProbes): ParsedProbes {
  if (!accumulatorIds.includes(accumulator)) {
    const known = accumulatorIds.join(", ");
    const message = `the expert "${name}" projects by "${accumulator.slice(0, 80)}"; this version knows ${known}: install a newer one, or stream the weights`;
    throw new InvalidInputError("FORMAT_REFUSED", message, { accumulator: accumulator.slice(0, 80) });
  }
  const find = (wanted: string): ProbeTensor => {
    const found = tensors.filter((tensor) => tensor.name === wanted);
    const [tensor] = found;
    if (tensor === undefined || found.length > 1) throw misfit(name, `${found.length} tensors "${wanted}"`);
    return tensor;
  };
  const [u, v] = [find("u"), find("v")];
  if (u.rows !== layer.shape.columns || v.columns !== layer.shape.rows || u.columns < 1 || v.rows < 1) {
    throw misfit(name, `U of [${u.rows}, ${u.columns}] and V of [${v.rows}, ${v.columns}]`);
  }
  if (!allFinite(u.values) || !allFinite(v.values)) {
    throw new InvalidInputError("NON_FINITE", `the probes of the expert "${name}" hold NaN or infinity`, {
      expert: name,
    });
  }
  return { architecture: { kind: "probex", probeCount: u.columns, projectionWidth: v.rows }, u, v };
}

function misfit(name: string, what: string): InvalidInputError {
  const message = `the probes of the expert "${name}" have ${what}; they are "u" [d_W, r_U] and "v" [r_V, d_H] of its layer`;
  return new InvalidInputError("SHAPE_MISMATCH", message, { expert: name });
}
