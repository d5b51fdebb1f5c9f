import type { Split } from "./layer-set.js";

/** All splits, in the order of reports. */
export const splitNames: readonly Split[] = ["train", "val", "test", "val_holdout", "test_holdout"];

/** The split that a name stands for; undefined if it is none. */
export function toSplit(name: string | undefined): Split | undefined {
  return splitNames.find((split) => split === name);
}
