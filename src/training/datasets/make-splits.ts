import { createHash } from "node:crypto";
import type { Split } from "./layer-set.js";

/** How many labels are held out, and how many models of the others are kept from training: shares. */
export interface SplitShares {
  /** Of the labels; half of them for validation. Default 0.2, as the authors hold out 30 of 150 concepts. */
  readonly heldOutLabels?: number;
  /** Of a label's models, for val and for test each. Default 0.125. */
  readonly evaluation?: number;
}

/**
 * Splits models as the authors do: labels drawn by lot are held out whole, one half for validation and one for test; of
 * each other label some models are for validation and for test, the others for training. The lot is a hash of names, so
 * that a dataset that grows keeps the splits of what was there.
 *
 * @param models a path and a label each; the label that counts where a model has several is its first.
 * @param seed other seeds draw other splits.
 * @returns one per model.
 */
export function makeSplits(
  models: readonly { readonly path: string; readonly label: string }[],
  seed: number,
  { heldOutLabels = 0.2, evaluation = 0.125 }: SplitShares = {},
): Split[] {
  const labelSplits = new Map<string, Split | undefined>();
  const labels = [...new Set(models.map(({ label }) => label))].sort(byLot(seed));
  const heldOut = Math.floor(labels.length * heldOutLabels);
  for (const [place, label] of labels.entries()) {
    const split = place < heldOut / 2 ? "val_holdout" : "test_holdout";
    labelSplits.set(label, place < heldOut ? split : undefined);
  }
  const splits = models.map(({ label }): Split => labelSplits.get(label) ?? "train");
  const byLabel = new Map<string, number[]>();
  for (const [index, { label }] of models.entries()) {
    if (labelSplits.get(label) !== undefined) continue;
    const group = byLabel.get(label);
    if (group === undefined) byLabel.set(label, [index]);
    else group.push(index);
  }
  for (const group of byLabel.values()) {
    const order = byLot(seed);
    group.sort((a, b) => order(models[a]?.path ?? "", models[b]?.path ?? ""));
    // A label that cannot spare three models is for training alone.
    const count = group.length < 3 ? 0 : Math.max(1, Math.round(group.length * evaluation));
    for (const [place, index] of group.entries()) {
      if (place < 2 * count) splits[index] = place < count ? "val" : "test";
    }
  }
  return splits;
}

/** An order of names by hash: the same for the same seed, and none that names show. */
function byLot(seed: number): (a: string, b: string) => number {
  const lots = new Map<string, string>();
  const lot = (name: string): string => {
    const drawn = lots.get(name) ?? createHash("sha256").update(`${seed}:${name}`).digest("hex");
    lots.set(name, drawn);
    return drawn;
  };
  return (a, b) => (lot(a) < lot(b) ? -1 : lot(a) > lot(b) ? 1 : 0);
}
