import { join } from "node:path";
import type { Matrix } from "../../src/compute/compute-backend.js";
import type { LayerSpec } from "../../src/weights/layer.js";
import { createExpertParameters, type ExpertSizes, writeExpert } from "./expert-folder.js";
import { type ExactMatrix, exactLinear, exactResponses } from "./oracle.js";

/** A small expert of a test's catalogue. */
export interface TestExpertSpec extends Omit<ExpertSizes, "rows" | "columns"> {
  /** Folder name. */
  readonly name: string;
  readonly module: string;
  readonly kind?: LayerSpec["kind"];
  readonly layout?: LayerSpec["layout"];
  readonly loraScale?: LayerSpec["loraScale"];
  /** Rows of the packed layer that are read. */
  readonly slice?: readonly [number, number];
  /** d_H, d_W. */
  readonly shape: readonly [number, number];
}

/** An expert that was written, and what it must answer. */
export interface TestExpert {
  readonly name: string;
  readonly folder: string;
  /** e of a layer X (d_H × d_W), in float64. */
  represent(x: Matrix | ExactMatrix): Float64Array;
}

/** Writes an expert folder of seeded parameters into a catalogue. */
export async function writeTestExpert(catalogue: string, spec: TestExpertSpec): Promise<TestExpert> {
  const { name, module, kind = "dense", layout = "linear", loraScale = "none", slice, shape, ...sizes } = spec;
  const parameters = createExpertParameters({ ...sizes, rows: shape[0], columns: shape[1] });
  const { u, v, encoder } = parameters;
  const layer = { module, kind, layout, loraScale, ...(slice !== undefined && { rows: slice }) };
  const folder = await writeExpert(join(catalogue, name), parameters, layer);
  return { name, folder, represent: (x) => exactLinear(encoder.weight, encoder.bias, exactResponses(v, x, u)) };
}
