import { type Concept, concepts } from "../scripts/demo-zoo/concepts.js";
import { type DenoiserShape, projections, toAttention, toDenoiserShapes } from "../scripts/demo-zoo/denoiser-graph.js";
import { fineTune } from "../scripts/demo-zoo/fine-tune.js";
import { trainDenoiser } from "../scripts/demo-zoo/train-denoiser.js";
import { Random } from "../src/linalg/random.js";
import type { TrainingStage } from "../src/trees/heritage/infer-heritage.js";

/** Tensors by name, all of them matrices. */
export type Tensors = ReadonlyMap<string, Float32Array>;

/** A model of a family. */
export interface FamilyMember {
  readonly tensors: Tensors;
  /** Position of the model that it was fine-tuned from; −1 for the base. */
  readonly parent: number;
}

/** The denoiser of `scripts/demo-zoo`, small enough to train some three hundred in minutes. */
export const familyShape: DenoiserShape = { width: 32, hidden: 64, blocks: 2 };

const common = { shape: familyShape, pictures: 16, threads: 1 };
/** How a family is trained. */
interface FamilyRecipe {
  /** Concepts that a model is trained on, of 216. */
  readonly conceptCounts: readonly [number, number];
  readonly rates: readonly [number, number];
  readonly steps: readonly [number, number];
}

/** Kinds of families: whole models in both stages, and LoRAs of the last block's attention, merged. */
export type FamilyKind = TrainingStage | "lora";

const recipes: Readonly<Record<FamilyKind, FamilyRecipe>> = {
  // A tenth to half of the rate that the base was trained with.
  generalisation: { conceptCounts: [108, 108], rates: [2e-4, 1e-3], steps: [60, 240] },
  specialisation: { conceptCounts: [6, 24], rates: [2e-4, 1e-3], steps: [60, 240] },
  lora: { conceptCounts: [6, 24], rates: [2e-3, 1e-2], steps: [30, 120] },
};
const ranks = [2, 4, 8] as const;

/** Trains a base on all concepts, from normally distributed weights as transformers begin with. */
export function growBase(seed: number, baseSteps: number): Promise<Tensors> {
  const random = new Random(seed);
  const from = new Map(
    [...toDenoiserShapes(familyShape)].map(([name, [rows = 1, columns = 1]]) => [
      name,
      Float32Array.from({ length: rows * columns }, () => toNormal(random) / Math.sqrt(columns)),
    ]),
  );
  return trainDenoiser({ ...common, concepts, steps: baseSteps, seed, from });
}

/**
 * Grows a family by gradient descent: 3 or 4 children of a base, 2 or 3 children of each of these. Each has steps and a
 * learning rate of its own, and data of its own: pictures of a random half of the concepts in generalisation, of 6 to 24
 * concepts in specialisation and for LoRAs, whose rank is 2, 4 or 8. Members come in random order.
 */
export async function growFamily(base: Tensors, kind: FamilyKind, seed: number): Promise<FamilyMember[]> {
  const random = new Random(seed);
  const recipe = recipes[kind];
  const grown: FamilyMember[] = [{ tensors: base, parent: -1 }];
  for (const [index, parent] of drawTree(random).entries()) {
    const run: Run = {
      from: grown[parent]?.tensors ?? base,
      concepts: drawConcepts(random, Math.round(between(random, ...recipe.conceptCounts))),
      steps: Math.round(between(random, ...recipe.steps)),
      learningRate: between(random, ...recipe.rates),
      seed: seed * 1000 + index,
    };
    const rank = ranks[Math.floor(random.next() * ranks.length)] ?? ranks[0];
    const tensors = kind === "lora" ? await trainLora(run, rank) : await trainDenoiser({ ...common, ...run });
    grown.push({ tensors, parent });
  }
  return shuffle(grown, random);
}

/** One fine-tuning. */
interface Run {
  readonly from: Tensors;
  readonly concepts: readonly Concept[];
  readonly steps: number;
  readonly learningRate: number;
  readonly seed: number;
}

/** Trains a LoRA and merges it: W + B·A, rounded to float32. */
async function trainLora({ from, concepts: own, steps, learningRate, seed }: Run, rank: number): Promise<Tensors> {
  const denoiser = { shape: familyShape, tensors: from };
  const [factors] = await fineTune(denoiser, [{ seed, concepts: own }], { steps, learningRate, rank });
  const { width, blocks } = familyShape;
  const merged = new Map(from);
  for (const projection of projections) {
    const module = `${toAttention(blocks - 1)}.${projection}`;
    const [down, up] = [factors?.get(`${module}.lora.down.weight`), factors?.get(`${module}.lora.up.weight`)];
    const weight = from.get(`${module}.weight`);
    if (down === undefined || up === undefined || weight === undefined) throw new Error(`${module} was not trained`);
    const values = weight.map((value, at) => {
      let sum = value;
      for (let k = 0; k < rank; k++) {
        sum += (up[Math.floor(at / width) * rank + k] as number) * (down[k * width + (at % width)] as number);
      }
      return sum;
    });
    merged.set(`${module}.weight`, values);
  }
  return merged;
}

/** Rounds to bfloat16, to nearest and to even, in float32. */
export function toBfloat16(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i] as number;
    bits[i] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  }
  return new Float32Array(bits.buffer);
}

/** Parents of the children of the base, which is 0, and of theirs, each after its parent. */
function drawTree(random: Random): number[] {
  const children = Array.from({ length: 3 + Math.floor(random.next() * 2) }, (_, index) => index + 1);
  const grandchildren = children.map((child) => new Array<number>(2 + Math.floor(random.next() * 2)).fill(child));
  return [...children.map(() => 0), ...grandchildren.flat()];
}

function drawConcepts(random: Random, count: number): Concept[] {
  return [...random.order(concepts.length)].slice(0, count).flatMap((index) => concepts[index] ?? []);
}

/** Even in the logarithm. */
function between(random: Random, low: number, high: number): number {
  return low * (high / low) ** random.next();
}

/** Box and Muller. */
function toNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

function shuffle(members: readonly FamilyMember[], random: Random): FamilyMember[] {
  const order = [...random.order(members.length)];
  return order.map((index) => {
    const member = members[index] as FamilyMember;
    return { ...member, parent: member.parent < 0 ? -1 : order.indexOf(member.parent) };
  });
}
