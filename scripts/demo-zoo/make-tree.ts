import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { projections, toAttention, toDenoiserShapes } from "./denoiser-graph.js";
import { type Denoiser, fineTune } from "./fine-tune.js";
import { writePackedTree } from "./packed-tree.js";
import type { PlannedTree } from "./plan.js";
import { drawSheet } from "./thumbnails.js";
import { trainDenoiser } from "./train-denoiser.js";

/** Hears of progress. */
export type Say = (line: string) => void;

/** Trains a tree's ancestor and writes it; gives it back. */
export async function makeAncestor({ name, ancestor }: PlannedTree, folder: string, say: Say): Promise<Denoiser> {
  const tensors = await trainDenoiser({
    ...ancestor,
    onStep: (step, loss) => {
      if (step % 250 === 0) say(`${name}: ancestor, step ${step} of ${ancestor.steps}, loss ${loss.toFixed(4)}`);
    },
  });
  const data = [...toDenoiserShapes(ancestor.shape)].map(
    ([tensor, shape]): TensorData => ({
      name: tensor,
      dtype: "F32",
      shape,
      bytes: float32Bytes(tensors.get(tensor) ?? new Float32Array(0)),
    }),
  );
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}-ancestor.safetensors`), encodeSafetensors(data, { format: "pt" }));
  return { shape: ancestor.shape, tensors };
}

/** Reads the ancestor that {@link makeAncestor} wrote. */
export async function readAncestor({ name, ancestor }: PlannedTree, folder: string): Promise<Denoiser> {
  const { tensors } = await readTensors(join(folder, `${name}-ancestor.safetensors`));
  const values = [...tensors.values()].map(
    ({ name: tensor, bytes }) => [tensor, new Float32Array(new Uint8Array(bytes).buffer)] as const,
  );
  return { shape: ancestor.shape, tensors: new Map(values) };
}

/** Extents of the tensors that a tree's files hold: LoRA factors of all four layers, or one layer whole. */
export function toTreeShapes({ ancestor: { shape }, stacks }: PlannedTree): Map<string, readonly number[]> {
  const { width, blocks } = shape;
  const attention = toAttention(blocks - 1);
  const rank = stacks[0]?.settings.rank;
  if (rank === undefined) {
    return new Map(["to_v", "to_out"].map((projection) => [`${attention}.${projection}.weight`, [width, width]]));
  }
  return new Map(
    projections.flatMap((projection): [string, readonly number[]][] => [
      [`${attention}.${projection}.lora.down.weight`, [rank, width]],
      [`${attention}.${projection}.lora.up.weight`, [width, rank]],
    ]),
  );
}

/** Fine-tunes all models of a tree; writes them packed, with a sheet of thumbnails. */
export async function makeTree(tree: PlannedTree, ancestor: Denoiser, folder: string, say: Say): Promise<void> {
  const values: Map<string, Float32Array>[] = [];
  for (const [index, { settings, models }] of tree.stacks.entries()) {
    values.push(...(await fineTune(ancestor, models, settings)));
    say(`${tree.name}: ${values.length} models, ${index + 1} of ${tree.stacks.length} stacks`);
  }
  const models = tree.stacks.flatMap((stack) => stack.models);
  await writePackedTree(join(folder, `${tree.name}.safetensors`), models, toTreeShapes(tree), values);
  await writeFile(join(folder, `${tree.name}.png`), drawSheet(models));
}
