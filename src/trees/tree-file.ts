import { join } from "node:path";
import { InvalidInputError } from "../errors/probestream-error.js";
import { readTensors } from "../weights/safetensors-file.js";
import { encodeSafetensors, float32Bytes, fromFloat32Bytes, type TensorData } from "../weights/safetensors-writer.js";
import { SKETCH_BUCKETS } from "./sketches/sketch.js";
import { MAX_SKETCH_BLOCKS, toSketchEdges } from "./sketches/sketch-edges.js";
import { type Tree, type TreeCentroid, type TreeGaussian, toRadius } from "./tree.js";

/** File of an expert folder that holds what is known of its tree. */
export const treeFileName = "tree.safetensors";
/** Bytes of it at most: a Gaussian of 4,096 numbers takes 67 MB. */
const maxTreeBytes = 268_435_456;

/** What `expert.json` says of a tree, and the file beside it. */
export interface TreeEntry {
  /** Keys `tree` and `calibration` of `expert.json`. */
  readonly keys: {
    readonly tree: Readonly<Record<string, unknown>>;
    readonly calibration: Readonly<Record<string, unknown>>;
  };
  /** Content of {@link treeFileName}. */
  readonly bytes: Uint8Array;
}

/** A tree as an expert folder keeps it. */
export function toTreeEntry({ name, parent, models, centroid, moments, gaussian }: Tree): TreeEntry {
  const tensors: TensorData[] = [];
  const add = (tensor: string, shape: readonly number[], values: Float64Array): void => {
    tensors.push({ name: tensor, dtype: "F32", shape, bytes: float32Bytes(Float32Array.from(values)) });
  };
  if (centroid !== undefined) {
    add("centroid", [centroid.spread.length, SKETCH_BUCKETS], centroid.values);
    add("spread", [centroid.spread.length], centroid.spread);
  }
  if (moments !== undefined) add("moments", [MAX_SKETCH_BLOCKS, SKETCH_BUCKETS], moments.values);
  if (gaussian !== undefined) {
    add("gaussian.mean", [gaussian.mean.length], gaussian.mean);
    add("gaussian.lower", [gaussian.mean.length, gaussian.mean.length], gaussian.lower);
  }
  const layer = centroid && { median: centroid.median, reach: centroid.reach, radius: toRadius(centroid) };
  const representation = gaussian && { median: gaussian.median, reach: gaussian.reach };
  return {
    keys: {
      tree: {
        name,
        ...(parent !== undefined && { parent }),
        models,
        file: treeFileName,
        ...(centroid !== undefined && { stored: [centroid.shape.rowCount, centroid.shape.columnCount] }),
      },
      calibration: {
        ...(layer !== undefined && { layer }),
        ...(moments !== undefined && { moments: { median: moments.median, reach: moments.reach } }),
        ...(representation !== undefined && { representation }),
      },
    },
    bytes: encodeSafetensors(tensors, { format: "probestream-tree/1" }),
  };
}

/** What `expert.json` says of the expert's tree without opening its file; undefined if it says nothing of one. */
export function parseTreeName(extra: Readonly<Record<string, unknown>>): Pick<Tree, "name" | "parent"> | undefined {
  const entry = extra["tree"];
  if (typeof entry !== "object" || entry === null) return undefined;
  const { name, parent, file } = entry as Record<string, unknown>;
  if (typeof name !== "string" || name === "" || file !== treeFileName) return undefined;
  return { name, ...(typeof parent === "string" && { parent }) };
}

/** Changes when a tree is measured anew; empty where there is none. */
export function toTreeKey(extra: Readonly<Record<string, unknown>>): string {
  return parseTreeName(extra) === undefined ? "" : JSON.stringify([extra["tree"], extra["calibration"]]);
}

/**
 * Reads the tree of an expert folder; undefined if its `expert.json` has none.
 *
 * @param extra keys of `expert.json` that the expert itself does not read.
 * @throws InvalidInputError `HEADER_MALFORMED` if keys and file do not make a tree; what reading the file throws.
 */
export async function readTree(folder: string, extra: Readonly<Record<string, unknown>>): Promise<Tree | undefined> {
  const names = parseTreeName(extra);
  if (names === undefined) return undefined;
  const path = join(folder, treeFileName);
  const { tensors } = await readTensors(path, { maxBytes: maxTreeBytes });
  const fail = (what: string): InvalidInputError => {
    const message = `${path} and expert.json do not make a tree: ${what}; measure it anew with \`probestream experts calibrate\``;
    return new InvalidInputError("HEADER_MALFORMED", message, { file: path });
  };
  const take = (name: string, length: number): Float64Array => {
    const tensor = tensors.get(name);
    if (tensor?.dtype !== "F32" || tensor.bytes.byteLength !== 4 * length)
      throw fail(`${name} is not ${length} numbers of F32`);
    const values = Float64Array.from(fromFloat32Bytes(tensor.bytes));
    if (!values.every(Number.isFinite)) throw fail(`${name} has a number that is not finite`);
    return values;
  };
  const entry = toRecord(extra["tree"]);
  const calibration = toRecord(extra["calibration"]);
  const reachOf = (key: string): { median: number; reach: number } => {
    const { median, reach } = toRecord(calibration[key]);
    if (typeof median !== "number" || typeof reach !== "number" || !(median >= 0) || !(reach >= 0)) {
      throw fail(`calibration.${key} has no median and reach`);
    }
    return { median, reach };
  };
  const toCentroid = (): TreeCentroid => {
    const [rowCount, columnCount] = Array.isArray(entry["stored"]) ? (entry["stored"] as unknown[]) : [];
    if (!isCount(rowCount) || !isCount(columnCount)) throw fail("tree.stored is no shape");
    const blocks = toSketchEdges(rowCount).length - 1;
    const values = take("centroid", blocks * SKETCH_BUCKETS);
    return { shape: { rowCount, columnCount }, values, spread: take("spread", blocks), ...reachOf("layer") };
  };
  const toGaussian = (): TreeGaussian => {
    const width = tensors.get("gaussian.mean")?.shape[0] ?? 0;
    return {
      mean: take("gaussian.mean", width),
      lower: take("gaussian.lower", width * width),
      ...reachOf("representation"),
    };
  };
  return {
    ...names,
    models: typeof entry["models"] === "number" ? entry["models"] : 0,
    ...(tensors.has("centroid") && { centroid: toCentroid() }),
    ...(tensors.has("moments") && {
      moments: { values: take("moments", MAX_SKETCH_BLOCKS * SKETCH_BUCKETS), ...reachOf("moments") },
    }),
    ...(tensors.has("gaussian.mean") && { gaussian: toGaussian() }),
  };
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
