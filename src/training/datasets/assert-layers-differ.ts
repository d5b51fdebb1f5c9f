import { InvalidInputError } from "../../errors/probestream-error.js";
import type { LayerSet } from "./layer-set.js";

/**
 * Makes sure that some model's layer is not that of the first: fine-tuning leaves frozen layers as they were, and of such
 * a one nothing can be learnt. Ends at the first layer that differs, usually the second; only where all are equal are all
 * read.
 *
 * Memory: two layers.
 *
 * @param module the layer's name.
 * @throws InvalidInputError `DUPLICATE` if there are several layers, and all hold the same numbers.
 */
export async function assertLayersDiffer(layers: LayerSet, module: string, signal?: AbortSignal): Promise<void> {
  if (layers.count < 2) return;
  const first = await layers.read([0]);
  for (let index = 1; index < layers.count; index++) {
    signal?.throwIfAborted();
    const next = await layers.read([index]);
    if ([...first].some(([name, values]) => !areEqual(values, next.get(name)))) return;
  }
  throw new InvalidInputError(
    "DUPLICATE",
    `the layer "${module}" holds the same numbers in all ${layers.count} models: it was frozen in their training, or they are one model; choose another layer`,
    { module, count: layers.count },
  );
}

function areEqual(values: Float32Array, others: Float32Array | undefined): boolean {
  return others !== undefined && values.every((value, index) => value === others[index]);
}
