import { Random } from "../../src/linalg/random.js";
import type { Split } from "../../src/training/datasets/layer-set.js";
import { type Concept, concepts, toText } from "./concepts.js";
import type { FineTune, FineTuneSettings } from "./fine-tune.js";
import type { DenoiserSettings } from "./train-denoiser.js";

/** A model of a tree, and how it is made. */
export interface PlannedModel extends FineTune {
  /** File below the tree's folder. */
  readonly path: string;
  readonly split: Split;
  /** What its header says of it. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Models that are made in one graph. */
export interface PlannedStack {
  readonly settings: FineTuneSettings;
  readonly models: readonly PlannedModel[];
}

/** A Model Tree: an ancestor and the models fine-tuned from it. */
export interface PlannedTree {
  readonly name: "loras" | "dense";
  readonly ancestor: Omit<DenoiserSettings, "onStep">;
  readonly stacks: readonly PlannedStack[];
}

const seed = 2410_13569;
/** Models made in one graph. */
const stackSizes = { loras: 64, dense: 32 };

/** Concepts that no training model of the LoRA tree has, for val_holdout and for test_holdout each. */
const heldOut = 30;
/** Models of a concept: of seen ones one each for val and test, the others to train on. */
const models = { seen: 10, heldOut: 6 };

/** LoRA models of rank 2, on one concept each: 156 × 10 + 60 × 6 = 1,920. */
export function planLoras(): PlannedTree {
  const random = new Random(seed);
  const order = [...random.order(concepts.length)];
  const splits = new Map(
    order
      .slice(0, 2 * heldOut)
      .map((index, place) => [index, place < heldOut ? "val_holdout" : "test_holdout"] as const),
  );
  const all = concepts.flatMap((concept, index) => {
    const unseen = splits.get(index);
    return Array.from({ length: unseen === undefined ? models.seen : models.heldOut }, (_, copy) => ({
      concept,
      split: unseen ?? toSplit(copy),
    }));
  });
  const shuffled = [...random.order(all.length)].flatMap((index) => all[index] ?? []);
  const stacks = cut(shuffled, stackSizes.loras).map((part, place): PlannedStack => {
    const settings = {
      rank: 2,
      steps: 30 + Math.floor(21 * random.next()),
      learningRate: toRate(random, 0.007, 0.013),
    };
    return {
      settings,
      models: part.map(({ concept, split }, index) => {
        const number = place * stackSizes.loras + index;
        const metadata = { concept: toText(concept), split, ...toMetadata(settings) };
        const path = `${split}/model_${String(number).padStart(4, "0")}/pytorch_lora_weights.safetensors`;
        return { seed: seed + number, concepts: [concept], path, split, metadata };
      }),
    };
  });
  const shape = { width: 64, hidden: 128, blocks: 2 };
  return { name: "loras", ancestor: { shape, concepts, steps: 1500, seed: 1 }, stacks };
}

/** What the dense tree's ancestor is trained on. */
const densePool: readonly Concept[] = concepts.filter(
  ({ colour, shape, texture }) =>
    ["plain", "striped"].includes(texture) &&
    ["red", "green", "blue"].includes(colour) &&
    ["circle", "square", "cross", "bar"].includes(shape),
);

/** What its models are trained on: a random half of these twelve each. */
const denseConcepts = densePool.filter((_, index) => index % 2 === 0);

/** Dense models of another, smaller ancestor, on half of twelve concepts each. */
export function planDense(): PlannedTree {
  const random = new Random(seed + 1);
  const count = 1200;
  const all = Array.from({ length: count }, (_, number) => {
    const chosen = [...random.order(denseConcepts.length)].slice(0, denseConcepts.length / 2).sort((a, b) => a - b);
    return { number, split: toSplit(number % 5), own: chosen.flatMap((index) => denseConcepts[index] ?? []) };
  });
  const stacks = cut(all, stackSizes.dense).map((part): PlannedStack => {
    const settings = {
      steps: Math.round(60 * 2.25 ** (2 * random.next() - 1)),
      learningRate: toRate(random, 0.0011, 0.022),
    };
    return {
      settings,
      models: part.map(({ number, split, own }) => {
        // As the authors' models name what they were trained on: a list in Python's notation.
        const targets = `[${own.map((concept) => `'${toText(concept)}'`).join(", ")}]`;
        const metadata = { dataset_chosen_targets: targets, split, ...toMetadata(settings) };
        const path = `${split}/model_${String(number).padStart(4, "0")}/model.safetensors`;
        return { seed: 2 * seed + number, concepts: own, path, split, metadata };
      }),
    };
  });
  const shape = { width: 32, hidden: 64, blocks: 2 };
  return { name: "dense", ancestor: { shape, concepts: densePool, steps: 1000, seed: 2 }, stacks };
}

/** Of a group of models one is for val and one for test. */
function toSplit(place: number): Split {
  return place === 0 ? "val" : place === 1 ? "test" : "train";
}

function cut<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

/** A rate between two, even in its logarithm, with three digits. */
function toRate(random: Random, low: number, high: number): number {
  return Number((low * (high / low) ** random.next()).toPrecision(3));
}

function toMetadata({ steps, learningRate }: FineTuneSettings): Record<string, string> {
  return { steps: String(steps), lr: String(learningRate), format: "pt" };
}
