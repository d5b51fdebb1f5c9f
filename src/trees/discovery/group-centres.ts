import type { VectorTable } from "./squared-distances.js";

/** The middle of a group of models. */
export interface GroupCentre {
  /** Mean of its members' vectors. */
  readonly mean: Float64Array;
  /** ‖mean‖². */
  readonly square: number;
}

/** Means of groups: per label those models that have it; label -1 is none. */
export function toGroupCentres({ width, values }: VectorTable, models: Int32Array, labels: Int32Array): GroupCentre[] {
  const counts: number[] = [];
  const means: Float64Array[] = [];
  for (const [at, label] of labels.entries()) {
    if (label === -1) continue;
    while (means.length <= label) means.push(new Float64Array(width));
    const mean = means[label] as Float64Array;
    const base = (models[at] as number) * width;
    for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + (values[base + i] as number);
    counts[label] = (counts[label] ?? 0) + 1;
  }
  return means.map((sum, label) => {
    const mean = sum.map((value) => value / (counts[label] ?? 1));
    return { mean, square: mean.reduce((total, value) => total + value * value, 0) };
  });
}

/** ‖x − mean‖² of a model of the table. */
export function toCentreDistance({ width, values }: VectorTable, model: number, { mean }: GroupCentre): number {
  const base = model * width;
  let sum = 0;
  for (let i = 0; i < width; i++) sum += ((values[base + i] as number) - (mean[i] as number)) ** 2;
  return sum;
}
