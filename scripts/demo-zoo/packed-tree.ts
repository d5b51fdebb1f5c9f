import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Split } from "../../src/training/datasets/layer-set.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { encodeSafetensors, type TensorData } from "../../src/weights/safetensors-writer.js";
import { toFloat16Bytes } from "./float16.js";
import type { PlannedModel } from "./plan.js";

/** A model of a packed tree. */
export type PackedModel = Pick<PlannedModel, "path" | "split" | "metadata">;

/** A tree in one file. */
export interface PackedTree {
  /** In the order of the tensors' first extent. */
  readonly models: readonly PackedModel[];
  /** Models × the layer's extents, float16. */
  readonly tensors: ReadonlyMap<string, TensorData>;
}

const format = "probestream-demo-tree/1";

/**
 * Packs models into one file: each tensor of all of them one after another, as float16, and in the metadata who is who.
 *
 * @param shapes extents of each tensor of a model.
 * @param values per model its tensors by name.
 */
export async function writePackedTree(
  path: string,
  models: readonly PackedModel[],
  shapes: ReadonlyMap<string, readonly number[]>,
  values: readonly ReadonlyMap<string, Float32Array>[],
): Promise<void> {
  const tensors = [...shapes].map(([name, shape]): TensorData => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const stacked = new Float32Array(models.length * size);
    for (const [model, own] of values.entries()) stacked.set(own.get(name) ?? [], model * size);
    return { name, dtype: "F16", shape: [models.length, ...shape], bytes: toFloat16Bytes(stacked) };
  });
  const kept = models.map(({ path: file, split, metadata }) => ({ path: file, split, metadata }));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, encodeSafetensors(tensors, { format, models: JSON.stringify(kept) }));
}

/** Reads a packed tree whole. */
export async function readPackedTree(path: string): Promise<PackedTree> {
  const { tensors, metadata } = await readTensors(path);
  if (metadata.get("format") !== format) throw new Error(`${path} is no packed tree: make it with npm run demo-zoo`);
  return { models: JSON.parse(metadata.get("models") ?? "[]"), tensors };
}

/** One model's file, as people have them. */
export function toModelFile({ models, tensors }: PackedTree, index: number): Uint8Array {
  const own = [...tensors.values()].map(({ name, dtype, shape: [count = 1, ...shape], bytes }): TensorData => {
    const size = bytes.byteLength / count;
    return { name, dtype, shape, bytes: bytes.subarray(index * size, (index + 1) * size) };
  });
  return encodeSafetensors(own, models[index]?.metadata);
}

/** Models written at a time. */
const filesAtOnce = 32;

/**
 * Unpacks a tree into a folder of model files, those of some splits or all. Files that are there already stay as they are.
 *
 * @returns how many models there are.
 */
export async function unpackTree(path: string, folder: string, splits?: readonly Split[]): Promise<number> {
  const tree = await readPackedTree(path);
  const wanted = tree.models.flatMap(({ split }, index) => (splits?.includes(split) === false ? [] : [index]));
  for (let begin = 0; begin < wanted.length; begin += filesAtOnce) {
    await Promise.all(
      wanted.slice(begin, begin + filesAtOnce).map(async (index) => {
        const file = join(folder, tree.models[index]?.path ?? "");
        const bytes = toModelFile(tree, index);
        const there = await readFile(file).catch(() => undefined);
        if (there?.equals(bytes) === true) return;
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, bytes);
      }),
    );
  }
  return wanted.length;
}
