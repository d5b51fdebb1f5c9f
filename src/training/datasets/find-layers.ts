import { toModuleKey } from "../../weights/lora/module-path.js";
import { findLoraPairs } from "../../weights/lora-pairs.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { openModel } from "../../weights/model-file.js";
import type { LayerRule } from "./describe-layer.js";

/** Models whose headers are read, spread over all. */
const looked = 64;
const modelsAtOnce = 8;
/** Share of the models that must have a layer. */
const leastShare = 0.9;
/** A dense layer with fewer rows or columns is no layer to probe: a norm, a bias, a position. */
const leastExtent = 8;

/**
 * Finds the layers that nearly all models have, from the headers of some of them: LoRA layers where most models are LoRA
 * files, else dense matrices and convolutions that are stored as they are used.
 *
 * @returns in the order of their names.
 */
export async function findLayers(
  locations: readonly string[],
  loraScale: LayerRule["loraScale"],
  signal?: AbortSignal,
): Promise<LayerRule[]> {
  const stride = Math.max(1, Math.floor(locations.length / looked));
  const some = locations.filter((_, index) => index % stride === 0);
  const counts = new Map<string, { readonly rule: LayerRule; models: number }>();
  const found = await mapConcurrently(some, modelsAtOnce, async (location) => {
    signal?.throwIfAborted();
    // What cannot be opened is told when it is packed.
    const model = await openModel(location, { signal }).catch(() => undefined);
    if (model === undefined) return [];
    await model.close();
    return toRules(model.tensors, loraScale);
  });
  const opened = found.filter((rules) => rules.length > 0);
  for (const rule of opened.flat()) {
    // Files of several formats may name one layer differently.
    const key = rule.kind === "lora" ? `lora ${toModuleKey(rule.module)}` : `dense ${rule.module}`;
    const known = counts.get(key) ?? { rule, models: 0 };
    known.models++;
    counts.set(key, known);
  }
  return [...counts.values()]
    .filter(({ models }) => models >= leastShare * opened.length)
    .map(({ rule }) => rule)
    .sort((a, b) => a.module.localeCompare(b.module, "en", { numeric: true }));
}

type Tensors = Awaited<ReturnType<typeof openModel>>["tensors"];

function toRules(tensors: Tensors, loraScale: LayerRule["loraScale"]): LayerRule[] {
  const { pairs } = findLoraPairs(tensors);
  if (pairs.length > 0) return pairs.map(({ module }) => ({ module, kind: "lora", layout: "linear", loraScale }));
  return [...tensors].flatMap(([name, { shape }]): LayerRule[] => {
    const [rows = 1, columns = 1] = shape;
    if (!name.endsWith(".weight") || rows < leastExtent || columns < leastExtent) return [];
    const layout = shape.length === 2 ? "linear" : "conv";
    if (shape.length !== 2 && shape.length !== 4) return [];
    return [{ module: name.slice(0, -".weight".length), kind: "dense", layout, loraScale: "none" }];
  });
}
