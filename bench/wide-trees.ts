import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openAdamSession } from "../scripts/demo-zoo/adam-session.js";
import { Random } from "../src/linalg/random.js";
import { encodeSafetensors, float32Bytes } from "../src/weights/safetensors-writer.js";

/** A tree whose layer is 16 MiB. */
export interface WideTree {
  readonly name: string;
  /** Of the first weights of its root. */
  readonly seed: number;
  /** The tree that its ancestor was fine-tuned from. */
  readonly of?: string;
}

/** Three trees, the first with two more inside each other. */
export const wideTrees: readonly WideTree[] = [
  { name: "wide-a", seed: 1 },
  { name: "wide-a-inner", seed: 1, of: "wide-a" },
  { name: "wide-a-innermost", seed: 1, of: "wide-a-inner" },
  { name: "wide-b", seed: 2 },
  { name: "wide-c", seed: 3 },
];

/** Rows and columns of the layer: 16 MiB as float32. */
export const wide = 2048;
const [batch, outputs] = [64, 16];
const layer = "m.fc.weight";
/** Steps and Adam's rate of a root's training, of an ancestor made of another, and of a model. */
const stages = {
  root: { steps: 120, rate: () => 1e-3 },
  ancestor: { steps: 60, rate: () => 2e-4 },
  model: { steps: 12, rate: (random: Random) => 2e-5 * 10 ** random.next() },
} as const;

/**
 * Grows trees by gradient descent: the layer of a perceptron that learns linear maps, one task or a mixture of them, from
 * its own random pictures of them. Kept in a folder, one file of 16 MiB per model.
 *
 * @returns per tree the files of its models, the ancestor not among them.
 */
export async function growWideTrees(
  folder: string,
  models: number,
  say: (line: string) => void,
): Promise<Map<string, string[]>> {
  await mkdir(folder, { recursive: true });
  const session = await openAdamSession(new Map([[layer, [wide, wide]]]), (builder, parameters) => {
    const weight = parameters.get(layer);
    if (weight === undefined) throw new Error("no layer");
    const x = builder.input("x", [batch, wide]);
    const head = builder.input("head", [wide, outputs]);
    const wanted = builder.input("wanted", [batch, outputs]);
    const hidden = builder.relu(builder.gemm(x, weight, { b: true }));
    const error = builder.subtract(builder.gemm(hidden, head), wanted);
    return builder.multiply(builder.sum(builder.multiply(error, error), [0, 1]), builder.scalar(1 / (batch * outputs)));
  });
  const weights = session.parameters.get(layer) as Float32Array;
  const train = async (stage: keyof typeof stages, start: Float32Array, seed: number): Promise<Float32Array> => {
    const random = new Random(seed);
    const { steps, rate } = stages[stage];
    const learningRate = rate(random);
    const head = new Random(77).spread(wide * outputs, 1 / Math.sqrt(wide));
    const task = random.spread(wide * outputs, 1 / Math.sqrt(wide));
    weights.set(start);
    session.restart();
    for (let step = 0; step < steps; step++) {
      const x = random.spread(batch * wide, 1);
      const wanted = new Float32Array(batch * outputs);
      for (let i = 0; i < batch; i++) {
        for (let j = 0; j < wide; j++) {
          const value = x[i * wide + j] as number;
          for (let k = 0; k < outputs; k++) {
            wanted[i * outputs + k] = (wanted[i * outputs + k] as number) + value * (task[j * outputs + k] as number);
          }
        }
      }
      await session.step(
        { x: [x, [batch, wide]], head: [head, [wide, outputs]], wanted: [wanted, [batch, outputs]] },
        learningRate,
      );
    }
    return weights.slice();
  };
  const ancestors = new Map<string, Float32Array>();
  const files = new Map<string, string[]>();
  try {
    for (const [index, { name, seed, of }] of wideTrees.entries()) {
      const path = join(folder, `${name}-ancestor.bin`);
      const begin =
        (of === undefined ? undefined : ancestors.get(of)) ?? new Random(seed).spread(wide * wide, 1 / Math.sqrt(wide));
      const ancestor = existsSync(path)
        ? new Float32Array(new Uint8Array(await readFile(path)).buffer)
        : await train(of === undefined ? "root" : "ancestor", begin, 100 + index);
      await writeFile(path, float32Bytes(ancestor));
      ancestors.set(name, ancestor);
      const own: string[] = [];
      for (let model = 0; model < models; model++) {
        const file = join(folder, `${name}-${model}.safetensors`);
        own.push(file);
        if (existsSync(file)) continue;
        const bytes = float32Bytes(await train("model", ancestor, 10_000 * (index + 1) + model));
        await writeFile(file, encodeSafetensors([{ name: layer, dtype: "F32", shape: [wide, wide], bytes }]));
      }
      files.set(name, own);
      say(`${name}: ${models} models`);
    }
  } finally {
    await session.dispose();
  }
  return files;
}
