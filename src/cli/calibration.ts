import { type CalibrateOptions, calibrateExpert } from "../search/calibrate-expert.js";
import { type Tree, toRadius } from "../trees/tree.js";
import type { CommandContext } from "./command-context.js";
import { toCount } from "./embed-report.js";
import { type Failure, toFailureLines } from "./failures.js";
import { toPercent } from "./percent.js";

/** What was measured, and what could not be read. */
export interface Calibration {
  readonly tree: Tree;
  readonly failures: readonly Failure[];
}

/** Measures an expert's tree, with progress; tells on standard error what cannot be read. */
export async function calibrate(
  folder: string,
  locations: readonly string[],
  names: Pick<CalibrateOptions, "name" | "parent">,
  { signal, terminal, isDebug }: CommandContext,
): Promise<Calibration> {
  const failures: Failure[] = [];
  const tree = await calibrateExpert(folder, locations, {
    ...names,
    signal,
    onProgress: (done, total) => terminal.showStatus(`tree: ${done} of ${total} models`),
    onUnusable: (file, error) => void failures.push({ file, error }),
  });
  terminal.showStatus("");
  if (failures.length > 0) terminal.remark(`${toCount(failures.length, "model")} could not be read:`);
  for (const line of toFailureLines(failures, isDebug)) terminal.remark(line);
  return { tree, failures };
}

/** A tree in words: how far its models lie, and how far it reaches. */
export function toTreeLine({ name, models, centroid, moments }: Tree): string {
  const measured = `tree "${name}", measured on ${toCount(models, "model")}`;
  if (centroid !== undefined) {
    const length = Math.hypot(...centroid.values);
    const [median, radius] = [centroid.median, toRadius(centroid)].map((distance) => toPercent(distance / length));
    return `${measured}: half of their layers are within ${median} of the mean layer's length, the tree accepts ${radius}`;
  }
  if (moments === undefined) return measured;
  const [usual, most] = [moments.median, moments.reach].map((distance) => distance.toFixed(2));
  return `${measured}: half of their LoRA layers move the base in directions with a cosine distance below ${usual} from the others', the tree accepts ${most}`;
}
