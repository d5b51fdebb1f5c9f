import { type FitOptions, fitExpert, type TrainData } from "./fit-expert.js";
import type { TrainSettings } from "./train-settings.js";
import type { TrainShape } from "./train-shape.js";

/** A layer that may be trained on. */
export interface Candidate {
  readonly module: string;
  readonly shape: TrainShape;
  readonly data: TrainData;
}

/** How a layer did in a short run. */
export interface SweptLayer {
  readonly module: string;
  /** Best accuracy on val and on val_holdout, the latter if there are labels held out. */
  readonly val: number;
  readonly valHoldout?: number;
  /** What layers are compared by: the mean of both. */
  readonly score: number;
}

/** Probes, projection and representation of a short run at most, and its epochs: a tenth, but not fewer than these. */
const mostSize = 32;
const fewestEpochs = 10;

/** The settings of a short run. */
export function toSweepSettings(settings: TrainSettings): TrainSettings {
  const epochs = Math.min(settings.epochs, Math.max(fewestEpochs, Math.round(settings.epochs / 10)));
  return { ...settings, epochs, evaluateEvery: Math.max(1, Math.floor(epochs / 5)), patience: 0 };
}

/**
 * Trains a small expert on each layer for a short while: validation tells which layer knows most of the labels. The best
 * comes first; of equally good ones the first that was given.
 */
export async function sweepLayers(
  candidates: readonly Candidate[],
  settings: TrainSettings,
  options: Pick<FitOptions, "threads" | "signal"> & { readonly onLayer?: (layer: SweptLayer) => void } = {},
): Promise<SweptLayer[]> {
  const { onLayer, ...rest } = options;
  const short = toSweepSettings(settings);
  const swept: SweptLayer[] = [];
  for (const { module, shape, data } of candidates) {
    const small = {
      ...shape,
      probes: Math.min(mostSize, shape.probes),
      projection: Math.min(mostSize, shape.projection),
      representation: Math.min(2 * mostSize, shape.representation),
    };
    const { best } = await fitExpert(small, data, { ...rest, settings: short });
    const val = best.get("val")?.accuracy ?? 0;
    const valHoldout = best.get("val_holdout")?.accuracy;
    const layer = {
      module,
      val,
      ...(valHoldout !== undefined && { valHoldout }),
      score: valHoldout === undefined ? val : (val + valHoldout) / 2,
    };
    swept.push(layer);
    onLayer?.(layer);
  }
  return swept.sort((a, b) => b.score - a.score);
}
