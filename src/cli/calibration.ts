import { type CalibrateOptions, calibrateExpert } from "../search/calibrate-expert.js";
import { type Tree, toRadius } from "../trees/tree.js";
import type { CommandContext } from "./command-context.js";
import { toCount } from "./embed-report.js";
import { type Failure, toFailureLines } from "./failures.js";
import { toPercent } from "./percent.js";
import { toPlain } from "./table.js";

/** What was measured, and what could not be read. */
export interface Calibration {
  readonly tree: Tree;
  /** Of the models that could be read, by location. */
  readonly representations: ReadonlyMap<string, Float32Array>;
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
  const strays: string[] = [];
  const representations = new Map<string, Float32Array>();
  const tell = (): void => {
    terminal.showStatus("");
    if (failures.length > 0) terminal.remark(`${toCount(failures.length, "model")} could not be read:`);
    for (const line of toFailureLines(failures, isDebug)) terminal.remark(line);
  };
  try {
    const tree = await calibrateExpert(folder, locations, {
      ...names,
      signal,
      onProgress: (done, total) => terminal.showStatus(`tree: ${done} of ${total} models`),
      onRepresentation: (location, representation) => void representations.set(location, representation),
      onUnusable: (file, error) => void failures.push({ file, error }),
      onStray: (file) => void strays.push(file),
    });
    tell();
    for (const line of toStrayLines(tree, strays)) terminal.remark(toPlain(line));
    return { tree, representations, failures };
  } catch (error) {
    tell();
    throw error;
  }
}

/** Strays named at most, and the spread from which on a pile looks like several trees: unlike layers lie at 1. */
const [mostStrays, loose] = [5, 0.7];

/** Doubts about what a tree was measured on. */
function toStrayLines({ models, centroid, moments }: Tree, strays: readonly string[]): string[] {
  const spread =
    centroid === undefined ? (moments?.median ?? 0) : centroid.median / (Math.hypot(...centroid.values) || 1);
  const lines: string[] = [];
  if (strays.length > 0) {
    const named = strays.slice(0, mostStrays).join(", ");
    const more = strays.length > mostStrays ? ", …" : "";
    lines.push(
      `beyond what the tree accepts: ${toCount(strays.length, "model")}; if of another tree, leave them out: ${named}${more}`,
    );
  }
  if (spread > loose) {
    lines.push(
      `the ${models} models have little in common: they look like several trees; \`probestream trees discover\` sorts them`,
    );
  }
  return lines;
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
