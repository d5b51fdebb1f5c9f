import { findLoraLayer } from "../../weights/lora-pairs.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { openModel } from "../../weights/model-file.js";

/** Models that are looked at, spread over all. */
const looked = 64;
const modelsAtOnce = 8;

/**
 * Tells whether most models have a layer as LoRA factors or as a dense tensor, from the headers of some of them. A folder
 * may hold both.
 */
export async function detectLayerKind(
  locations: readonly string[],
  module: string,
  signal?: AbortSignal,
): Promise<"dense" | "lora"> {
  const stride = Math.max(1, Math.floor(locations.length / looked));
  const some = locations.filter((_, index) => index % stride === 0);
  const kinds = await mapConcurrently(some, modelsAtOnce, async (location) => {
    signal?.throwIfAborted();
    // What cannot be opened is told when it is packed.
    const model = await openModel(location, { signal }).catch(() => undefined);
    if (model === undefined) return undefined;
    await model.close();
    const { factors, foreign } = findLoraLayer(model.tensors, module);
    if (factors.length > 0 || foreign.length > 0) return "lora";
    return model.tensors.has(module) || model.tensors.has(`${module}.weight`) ? "dense" : undefined;
  });
  const count = (kind: "dense" | "lora"): number => kinds.filter((found) => found === kind).length;
  return count("dense") > count("lora") ? "dense" : "lora";
}
