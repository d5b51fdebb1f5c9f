import type { Objective } from "../experts/checkpoint.js";

/** How an expert is trained. */
export interface TrainSettings {
  readonly epochs: number;
  /** Models per step. */
  readonly batchSize: number;
  readonly learningRate: number;
  /** L2, added to the gradient. */
  readonly weightDecay: number;
  /** How the rate goes on from there: it stays, or falls to 0 along half a cosine. */
  readonly schedule: "constant" | "cosine";
  /** Evaluations without a better `val` (or `val_holdout`) after which training ends; 0 goes on to the last epoch. */
  readonly patience: number;
  /**
   * Scales the layers so that the first responses have a variance of 1. The factor goes into V afterwards: the expert is
   * one like any other.
   */
  readonly standardise: boolean;
  /** Epochs from one evaluation to the next; the first and the last epoch are always followed by one. */
  readonly evaluateEvery: number;
  /** First weights and orders come from it. */
  readonly seed: number;
}

const common = {
  epochs: 100,
  batchSize: 128,
  evaluateEvery: 10,
  seed: 0,
  schedule: "constant",
  patience: 0,
  standardise: false,
} as const;

/** What the authors' scripts use: Adam at 2e-3 for zero-shot, at 1e-3 with a weight decay of 1e-5 for classification. */
export const defaultTrainSettings: Readonly<Record<Objective, TrainSettings>> = {
  zeroshot: { ...common, learningRate: 2e-3, weightDecay: 0 },
  classification: { ...common, learningRate: 1e-3, weightDecay: 1e-5 },
};
