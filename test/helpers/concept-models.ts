import { Random } from "../../src/linalg/random.js";
import { createMemoryLayerSet, type Split } from "../../src/training/datasets/layer-set.js";
import type { TrainData, TrainModel } from "../../src/training/fit-expert.js";
import type { TrainShape } from "../../src/training/train-shape.js";

/** Seeded models of a few concepts, with the sizes of an expert for them. */
export interface ConceptModels {
  readonly shape: TrainShape;
  readonly data: TrainData;
}

const [rows, columns, rank, textWidth] = [12, 10, 2, 6];
const seen = 8;
const heldOut = 3;

/**
 * LoRA layers that show what they were trained on: each concept has a text vector, factors come from it by a fixed linear
 * map, and each model adds noise of its own.
 */
export function createConceptModels(objective: TrainShape["objective"], modelsPerConcept = 20): ConceptModels {
  const random = new Random(11);
  const maps = Array.from({ length: rank }, () => ({
    down: random.spread(columns * textWidth, 1),
    up: random.spread(rows * textWidth, 1),
  }));
  const concepts = Array.from({ length: seen + heldOut }, () => random.spread(textWidth, 1));
  const models: TrainModel[] = [];
  const downs: Float32Array[] = [];
  const ups: Float32Array[] = [];
  for (const [concept, text] of concepts.entries()) {
    const isHeldOut = concept >= seen;
    // Held-out concepts have texts to compare with, and classification has none.
    if (isHeldOut && objective === "classification") continue;
    for (let i = 0; i < modelsPerConcept; i++) {
      const splits: readonly Split[] = isHeldOut ? ["val_holdout", "test_holdout"] : ["val", "test", "train", "train"];
      models.push({ split: splits[i % splits.length] as Split, labels: [isHeldOut ? concept - seen : concept] });
      for (const { down, up } of maps) {
        downs.push(map(down, text, columns, random));
        ups.push(map(up, text, rows, random));
      }
    }
  }
  const layer = { rows, columns, rank };
  const layers = createMemoryLayerSet(
    models.length,
    layer,
    new Map([
      ["down", join(downs)],
      ["up", join(ups)],
    ]),
  );
  const sizes = { layer, probes: 16, projection: 16, representation: 24, labels: seen };
  if (objective === "classification") return { shape: { objective, ...sizes }, data: { layers, models } };
  const texts = join(concepts.slice(0, seen));
  const heldOutTexts = join(concepts.slice(seen));
  return { shape: { objective, ...sizes, textWidth }, data: { layers, models, texts, heldOutTexts } };
}

function map(matrix: Float32Array, text: Float32Array, count: number, random: Random): Float32Array {
  const noise = random.spread(count, 0.3);
  return noise.map((value, row) => {
    let sum = value;
    for (const [i, x] of text.entries()) sum += x * (matrix[row * textWidth + i] as number);
    return sum;
  });
}

function join(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}
