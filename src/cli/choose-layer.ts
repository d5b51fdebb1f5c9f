import { ProbestreamError } from "../errors/probestream-error.js";
import { assertLayersDiffer } from "../training/datasets/assert-layers-differ.js";
import type { LayerRule } from "../training/datasets/describe-layer.js";
import { detectLayerKind } from "../training/datasets/detect-layer-kind.js";
import { findLayers } from "../training/datasets/find-layers.js";
import type { Dataset } from "../training/datasets/scan-dataset.js";
import { sweepLayers, toSweepSettings } from "../training/sweep-layers.js";
import { type NamedTrainData, toTrainData } from "../training/to-train-data.js";
import type { TrainShape } from "../training/train-shape.js";
import type { CommandContext } from "./command-context.js";
import { usageError } from "./exit-codes.js";
import type { EncodedLabels } from "./label-texts.js";
import type { DatasetLayers } from "./open-layers.js";
import { toPercent } from "./percent.js";
import { toPlain } from "./table.js";
import { type TrainOptions, toSettings } from "./train-options.js";

/** What `--layer` says where no layer is named. */
const autoLayer = "auto";

/** Layers that are tried at most. */
const mostCandidates = 32;

/** The layer as most models have it, as LoRA factors or dense; with `auto` all that nearly all models have. */
export async function toRules(
  { models }: Dataset,
  options: TrainOptions,
  { terminal, signal }: CommandContext,
): Promise<LayerRule[]> {
  const { layer: module, layout, loraScale, labels, labelKey } = options;
  if (models.length === 0) {
    const place = labels === undefined ? `its metadata under "${labelKey}"` : `"${labels}" that can be used`;
    throw usageError(`no model has a label in ${place}`);
  }
  const locations = models.map(({ location }) => location);
  if (module === autoLayer) {
    const found = await findLayers(locations, loraScale, signal);
    if (found.length === 0) throw usageError("--layer auto: the models have no layer in common; name one with --layer");
    const stride = Math.ceil(found.length / mostCandidates);
    if (stride > 1) terminal.remark(`of ${found.length} layers every ${stride}th is tried`);
    return found.filter((_, index) => index % stride === 0);
  }
  const kind = await detectLayerKind(locations, module, signal);
  if (kind === "lora") return [{ module, kind, layout: "linear", loraScale }];
  return [{ module, kind, layout, loraScale: "none" }];
}

/** What an expert can be trained on: a layer, its models, and the sizes that follow. */
export interface Trainable {
  readonly layers: DatasetLayers;
  readonly shape: TrainShape;
  readonly named: NamedTrainData;
}

async function toTrainable(
  layers: DatasetLayers,
  encoded: EncodedLabels | undefined,
  options: TrainOptions,
  signal: AbortSignal,
): Promise<Trainable> {
  const { objective, probes, projection, representation, temperature } = options;
  const { opened, models, rule } = layers;
  await assertLayersDiffer(opened.layers, rule.module, signal);
  const named = toTrainData(objective, opened.layers, models, encoded?.texts);
  const shape: TrainShape = {
    ...{ objective, layer: opened.layers.layer, probes, projection, representation, labels: named.labels.length },
    ...(encoded !== undefined && {
      textWidth: encoded.texts.vectors.columns,
      ...(temperature === "learned" && { temperature }),
    }),
  };
  return { layers, shape, named };
}

/** The layer that was named, or the one that short runs on all say most of the labels of. */
export async function chooseLayer(
  layers: readonly DatasetLayers[],
  encoded: EncodedLabels | undefined,
  options: TrainOptions,
  { terminal, signal }: CommandContext,
): Promise<Trainable> {
  const [only] = layers;
  if (only !== undefined && layers.length === 1) return toTrainable(only, encoded, options, signal);
  const trainable = new Map<string, Trainable>();
  for (const candidate of layers) {
    try {
      trainable.set(candidate.rule.module, await toTrainable(candidate, encoded, options, signal));
    } catch (error) {
      if (!(error instanceof ProbestreamError)) throw error;
      terminal.remark(toPlain(`not a candidate: ${error.message}`));
    }
  }
  const candidates = [...trainable].map(([module, { shape, named }]) => ({ module, shape, data: named.data }));
  const settings = toSettings(options);
  const { epochs } = toSweepSettings(settings);
  await terminal.print(`${candidates.length} layers, ${epochs} epochs of a small expert on each:`);
  const [best] = await sweepLayers(candidates, settings, {
    signal,
    onLayer: ({ module, val, valHoldout }) => {
      const more = valHoldout === undefined ? "" : `  val_holdout ${toPercent(valHoldout)}`;
      terminal.remark(toPlain(`  val ${toPercent(val)}${more}  ${module}`));
    },
  });
  const chosen = trainable.get(best?.module ?? "");
  if (chosen === undefined) throw usageError("--layer auto: no layer can be trained on; name one with --layer");
  await terminal.print(toPlain(`the best layer is ${best?.module}`));
  return chosen;
}
