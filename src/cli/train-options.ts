import type { Objective } from "../experts/checkpoint.js";
import type { LayerRule } from "../training/datasets/describe-layer.js";
import { defaultTrainSettings, type TrainSettings } from "../training/train-settings.js";
import type { DatasetOptions } from "./dataset-options.js";

/** What the command line of `train` says. */
export interface TrainOptions extends DatasetOptions {
  readonly layer: string;
  readonly out: string;
  readonly objective: Objective;
  readonly layout: LayerRule["layout"];
  readonly loraScale: LayerRule["loraScale"];
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly schedule: TrainSettings["schedule"];
  readonly patience?: number;
  readonly standardise?: boolean;
  readonly temperature: "fixed" | "learned";
  readonly probes: number;
  readonly projection: number;
  readonly representation: number;
  readonly seed: number;
  readonly bestOn: "val" | "val_holdout";
  readonly tree?: string;
  readonly parentTree?: string;
  readonly dryRun?: boolean;
}

/** The settings of the run that the options ask for. */
export function toSettings(options: TrainOptions): TrainSettings {
  const defaults = defaultTrainSettings[options.objective];
  const { learningRate, weightDecay } = { ...defaults, ...toGiven(options) };
  const { epochs, batchSize, schedule, patience = 0, standardise = false, seed } = options;
  return { ...defaults, epochs, batchSize, learningRate, weightDecay, schedule, patience, standardise, seed };
}

function toGiven({ learningRate, weightDecay }: TrainOptions): { learningRate?: number; weightDecay?: number } {
  return { ...(learningRate !== undefined && { learningRate }), ...(weightDecay !== undefined && { weightDecay }) };
}
