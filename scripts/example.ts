import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Random } from "../src/linalg/random.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../src/weights/safetensors-writer.js";

/** What the example's models are about. */
const labels = ["astronomy", "birds", "chess", "cooking", "gardening", "jazz", "sailing", "weaving"];

/** Models per label that are LoRA files; the first two labels have a full one each besides. */
const lorasPerLabel = 3;

const layerWidth = 64;
const rank = 4;
const probeCount = 16;
const representationWidth = 16;
const textWidth = 32;
const block = "lm.blocks.1.attn";

/** Folder of the example where nothing else is said. */
export const exampleFolder = "example";

/** Whether a folder holds a whole example: the experts are written last. */
export function hasExample(folder: string): boolean {
  return existsSync(join(folder, "experts", "concepts-dense", "expert.json"));
}

/**
 * Makes a small world to try the commands on: two experts (one for LoRA files, one for full layers), text vectors of
 * eight labels, and models that each carry one label in their weights. The same on every machine.
 *
 * Nothing here is trained. Each label has a direction a on the output side and b on the input side of the layer; a
 * model's layer is a·bᵀ and noise. The experts' probes are these directions, so that Z = V X U shows on its diagonal
 * which of them a layer holds, and their heads take that to the label's text vector.
 */
export async function makeExample(folder: string): Promise<{ readonly models: number; readonly experts: number }> {
  const random = new Random(2410_13569);
  const world = createWorld(random);
  await mkdir(join(folder, "models"), { recursive: true });
  let models = 0;
  const write = async (name: string, tensors: readonly TensorData[], metadata: Record<string, string>) => {
    await writeFile(join(folder, "models", `${name}.safetensors`), encodeSafetensors(tensors, metadata));
    models++;
  };
  for (const [index, label] of labels.entries()) {
    for (let copy = 1; copy <= lorasPerLabel; copy++) {
      const metadata = { concept: label, base: "example-base", rank: String(rank), format: "pt" };
      await write(`${label}-lora-${copy}`, createLora(random, world, index), metadata);
    }
    if (index < 2) await write(`${label}-full`, createFull(random, world, index), { concept: label, format: "pt" });
  }
  const texts = toTensor("text_embeds", [labels.length, textWidth], world.texts.flat());
  const texter = { labels: JSON.stringify(labels) };
  await writeFile(join(folder, "texts.safetensors"), encodeSafetensors([texts], texter));
  const state = encodeSafetensors(createExpertState(random, world));
  for (const kind of ["lora", "dense"] as const)
    await writeExpert(join(folder, "experts", `concepts-${kind}`), kind, state);
  return { models, experts: 2 };
}

interface World {
  /** a, per label. */
  readonly outputs: readonly number[][];
  /** b, per label. */
  readonly inputs: readonly number[][];
  /** Direction of the representation, per label. */
  readonly representations: readonly number[][];
  /** Text vector, per label. */
  readonly texts: readonly number[][];
}

function createWorld(random: Random): World {
  const directions = (width: number): number[][] => orthonormal(random, labels.length, width);
  return {
    outputs: directions(layerWidth),
    inputs: directions(layerWidth),
    representations: directions(representationWidth),
    texts: directions(textWidth),
  };
}

/** Factors of four layers under the authors' names; `to_out` carries the label. */
function createLora(random: Random, world: World, label: number): TensorData[] {
  return ["to_q", "to_k", "to_v", "to_out"].flatMap((projection) => {
    const down = noise(random, rank * layerWidth, 0.03);
    const up = noise(random, layerWidth * rank, 0.03);
    if (projection === "to_out") {
      // One of the ranks, not always the same, is the label's.
      const at = Math.floor(random.next() * rank);
      for (let i = 0; i < layerWidth; i++) {
        down[at * layerWidth + i] = (down[at * layerWidth + i] ?? 0) + (world.inputs[label]?.[i] ?? 0);
        up[i * rank + at] = (up[i * rank + at] ?? 0) + (world.outputs[label]?.[i] ?? 0);
      }
    }
    return [
      toTensor(`${block}.${projection}.lora.down.weight`, [rank, layerWidth], down),
      toTensor(`${block}.${projection}.lora.up.weight`, [layerWidth, rank], up),
    ];
  });
}

/** Full layers; `to_out` carries the label. */
function createFull(random: Random, world: World, label: number): TensorData[] {
  return ["to_q", "to_k", "to_v", "to_out"].map((projection) => {
    const weight = noise(random, layerWidth * layerWidth, 0.02);
    if (projection === "to_out") {
      const [a = [], b = []] = [world.outputs[label], world.inputs[label]];
      for (let row = 0; row < layerWidth; row++) {
        for (let column = 0; column < layerWidth; column++) {
          const i = row * layerWidth + column;
          weight[i] = (weight[i] ?? 0) + (a[row] ?? 0) * (b[column] ?? 0);
        }
      }
    }
    return toTensor(`${block}.${projection}.weight`, [layerWidth, layerWidth], weight);
  });
}

/** The state dict of an expert, under the authors' names. */
function createExpertState(random: Random, world: World): TensorData[] {
  const { outputs, inputs, representations, texts } = world;
  const at = (rows: readonly number[][], row: number, column: number): number => rows[row]?.[column] ?? 0;
  const spare = noise(random, probeCount * layerWidth, 0.1);
  const probes = fill(layerWidth, probeCount, (d, u) => at(inputs, u, d) || (spare[u * layerWidth + d] ?? 0));
  const shared = fill(probeCount, layerWidth, (v, d) => at(outputs, v, d) || (spare[v * layerWidth + d] ?? 0));
  const encoders = noise(random, representationWidth * probeCount * probeCount, 0.01);
  for (let label = 0; label < labels.length; label++) {
    for (let row = 0; row < representationWidth; row++) {
      const i = row * probeCount * probeCount + label * probeCount + label;
      encoders[i] = (encoders[i] ?? 0) + at(representations, label, row);
    }
  }
  const head = fill(representationWidth, textWidth, (row, column) =>
    labels.reduce((sum, _, label) => sum + at(representations, label, row) * at(texts, label, column), 0),
  );
  return [
    toTensor("probes.weight", [layerWidth, probeCount], probes),
    toTensor("shared_probe_proj.weight", [probeCount, layerWidth], shared),
    toTensor("per_probe_encoders.weight", [representationWidth, probeCount * probeCount], encoders),
    toTensor("per_probe_encoders.bias", [representationWidth], noise(random, representationWidth, 0.01)),
    toTensor("regression_head.weight", [representationWidth, textWidth], head),
    toTensor("regression_head.bias", [representationWidth], noise(random, representationWidth, 0.01)),
  ];
}

async function writeExpert(folder: string, kind: "lora" | "dense", state: Uint8Array): Promise<void> {
  const manifest = {
    format: "probestream-expert/1",
    objective: "zeroshot",
    weights: "expert.safetensors",
    layer: { module: `${block}.to_out`, kind, layout: "linear", loraScale: "none" },
    shape: [layerWidth, layerWidth],
    labels,
    provenance: { made: "by scripts/make-example.ts; put together, not trained" },
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "expert.safetensors"), state);
  await writeFile(join(folder, "expert.json"), `${JSON.stringify(manifest, undefined, 1)}\n`);
}

function toTensor(name: string, shape: readonly number[], values: readonly number[]): TensorData {
  return { name, dtype: "F32", shape, bytes: float32Bytes(Float32Array.from(values)) };
}

function noise(random: Random, count: number, deviation: number): number[] {
  return Array.from(random.spread(count, deviation));
}

function fill(rows: number, columns: number, value: (row: number, column: number) => number): number[] {
  return Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
}

/** Vectors of unit length at right angles (Gram and Schmidt). */
function orthonormal(random: Random, count: number, width: number): number[][] {
  const vectors: number[][] = [];
  while (vectors.length < count) {
    let vector = noise(random, width, 1);
    for (const other of vectors) {
      const along = dot(vector, other);
      vector = vector.map((value, i) => value - along * (other[i] ?? 0));
    }
    const length = Math.sqrt(dot(vector, vector));
    vectors.push(vector.map((value) => value / length));
  }
  return vectors;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}
