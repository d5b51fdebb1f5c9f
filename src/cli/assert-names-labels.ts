import { type Expert, manifestName } from "../experts/expert.js";
import { usageError } from "./exit-codes.js";

/** Guards that a classification expert says what its answers mean. Throws CommandError. */
export function assertNamesLabels({ objective, labels }: Pick<Expert, "objective" | "labels">, folder: string): void {
  if (objective !== "classification" || labels.length > 0) return;
  throw usageError(`${folder} names no labels: add "labels" to its ${manifestName}, in the order of its answers`);
}
