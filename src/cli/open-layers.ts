import type { LayerRule } from "../training/datasets/describe-layer.js";
import { type OpenedLayers, openPackedLayers } from "../training/datasets/open-packed-layers.js";
import { packLayers } from "../training/datasets/pack-layers.js";
import type { Dataset, DatasetModel } from "../training/datasets/scan-dataset.js";
import type { CommandContext } from "./command-context.js";
import { toLayerLines } from "./layer-report.js";

/** One layer of a dataset's models, with the models that have it. */
export interface DatasetLayers {
  readonly rule: LayerRule;
  readonly opened: OpenedLayers;
  /** One per layer of the set. */
  readonly models: readonly DatasetModel[];
}

/** Reads layers of all models in one pass, or finds them in the cache, and opens them. Each must be closed. */
export async function openLayers(
  { models }: Dataset,
  rules: readonly LayerRule[],
  cache: string,
  { terminal, signal }: CommandContext,
): Promise<DatasetLayers[]> {
  const packed = await packLayers(
    models.map(({ location }) => location),
    rules,
    {
      folder: cache,
      signal,
      onProgress: (done, total) => terminal.showStatus(`layers: ${done} of ${total} models`),
    },
  );
  terminal.showStatus("");
  const found: DatasetLayers[] = [];
  for (const layers of packed) {
    const opened = await openPackedLayers(layers);
    for (const line of toLayerLines(opened.refused, models, layers.rule.module)) terminal.remark(line);
    found.push({ rule: layers.rule, opened, models: opened.kept.flatMap((index) => models[index] ?? []) });
  }
  return found;
}
