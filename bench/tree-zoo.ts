import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Denoiser, fineTune } from "../scripts/demo-zoo/fine-tune.js";
import { makeAncestor, makeTree, readAncestor, type Say } from "../scripts/demo-zoo/make-tree.js";
import { unpackTree } from "../scripts/demo-zoo/packed-tree.js";
import { type PlannedTree, planDense, planLoras } from "../scripts/demo-zoo/plan.js";
import { findModels } from "../src/weights/find-models.js";
import { repositoryRoot } from "./repository-root.js";

/** A tree of the mixture. */
export interface ZooTree {
  /** Folder below the zoo's. */
  readonly name: string;
  readonly kind: "loras" | "dense";
  /** Of the ancestor's first weights; other weights, another tree. Undefined for the trees that the demo ships. */
  readonly seed?: number;
  /** Of the ancestor. Default: the demo's. */
  readonly width?: number;
  /** Where the ancestor is itself a fine-tune: the tree whose ancestor it was made from. */
  readonly of?: string;
}

/**
 * The demo's trees, and others beside them: some with the very same shapes, which only the weights tell apart, some of
 * another width, and one whose ancestor is a fine-tune of another's.
 */
export const zooTrees: readonly ZooTree[] = [
  { name: "dense", kind: "dense" },
  { name: "loras", kind: "loras" },
  { name: "dense-b", kind: "dense", seed: 12 },
  { name: "dense-c", kind: "dense", seed: 22 },
  { name: "dense-wide", kind: "dense", seed: 32, width: 48 },
  { name: "dense-b-nested", kind: "dense", seed: 12, of: "dense-b" },
  { name: "loras-b", kind: "loras", seed: 11 },
  { name: "loras-c", kind: "loras", seed: 21 },
  { name: "loras-narrow", kind: "loras", seed: 31, width: 48 },
];

/** A model of the mixture, with the tree that it is of. */
export interface ZooModel {
  readonly location: string;
  readonly tree: ZooTree;
}

/** How a nested tree's ancestor is made of another's. */
const second = { steps: 600, learningRate: 0.004 };

/**
 * Makes the mixture once and keeps it in a folder; later it is only listed.
 *
 * @param count models of each tree that is made, and `demoCount` of each that the demo ships.
 */
export async function openTreeZoo(
  folder: string,
  { count, demoCount }: { readonly count: number; readonly demoCount: number },
  say: Say,
): Promise<ZooModel[]> {
  const models: ZooModel[] = [];
  for (const tree of zooTrees) {
    const unpacked = join(folder, tree.name);
    const made = tree.seed === undefined ? takeShipped(tree) : await makeZooTree(tree, folder, count, say);
    await unpackTree(made, unpacked);
    const all: string[] = [];
    for await (const location of findModels([unpacked])) all.push(location);
    const wanted = Math.min(all.length, tree.seed === undefined ? demoCount : count);
    const stride = all.length / wanted;
    for (let i = 0; i < wanted; i++) models.push({ location: all[Math.floor(i * stride)] as string, tree });
  }
  return models;
}

function takeShipped({ kind }: ZooTree): string {
  return join(repositoryRoot, "demo", `${kind}.safetensors`);
}

async function makeZooTree(tree: ZooTree, folder: string, count: number, say: Say): Promise<string> {
  const packed = join(folder, "packed", tree.name);
  const file = join(packed, `${tree.kind}.safetensors`);
  const done = join(packed, `${count}.done`);
  if (existsSync(done)) return file;
  const planned = toPlan(tree, count);
  const ancestor = await toAncestor(tree, planned, folder, say);
  await makeTree(planned, ancestor, packed, (line) => say(`${tree.name}: ${line}`));
  await writeFile(done, "");
  return file;
}

async function toAncestor(tree: ZooTree, planned: PlannedTree, folder: string, say: Say): Promise<Denoiser> {
  const root = join(folder, "packed", tree.of ?? tree.name);
  const isThere = existsSync(join(root, `${tree.kind}-ancestor.safetensors`));
  const ancestor = isThere ? await readAncestor(planned, root) : await makeAncestor(planned, root, say);
  if (tree.of === undefined) return ancestor;
  const { concepts } = planned.ancestor;
  const [own] = await fineTune(ancestor, [{ seed: 5, concepts }], second);
  return { shape: ancestor.shape, tensors: new Map([...ancestor.tensors, ...(own ?? [])]) };
}

/** The demo's plan with other seeds, and so many models. */
function toPlan({ name, kind, seed = 0, width }: ZooTree, count: number): PlannedTree {
  const plan = kind === "loras" ? planLoras() : planDense();
  const shift = 1_000_000 * (1 + zooTrees.findIndex((tree) => tree.name === name));
  let left = count;
  const stacks = plan.stacks.flatMap((stack) => {
    const models = stack.models.slice(0, left).map((model) => ({ ...model, seed: model.seed + shift }));
    left -= models.length;
    return models.length === 0 ? [] : [{ ...stack, models }];
  });
  const shape = width === undefined ? plan.ancestor.shape : { ...plan.ancestor.shape, width };
  return { name: kind, ancestor: { ...plan.ancestor, shape, seed }, stacks };
}
