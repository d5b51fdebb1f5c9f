import { Random } from "../../src/linalg/random.js";
import type { GraphBuilder, Value } from "../../src/onnx/graph-builder.js";
import { openAdamSession } from "./adam-session.js";
import type { Concept } from "./concepts.js";
import {
  buildDenoiser,
  buildLoss,
  type DenoiserShape,
  patchNumbers,
  projections,
  toAttention,
  toDenoiserShapes,
  tokenNumbers,
  tokens,
} from "./denoiser-graph.js";
import { drawPicture } from "./draw-picture.js";
import { toNoisyBatch } from "./noisy-batch.js";

/** A denoiser to fine-tune. */
export interface Denoiser {
  readonly shape: DenoiserShape;
  /** Tensors by name. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

/** A model that is to be made. */
export interface FineTune {
  /** Decides first weights, pictures and noise. */
  readonly seed: number;
  /** What it is trained on: each of its pictures shows one of these. */
  readonly concepts: readonly Concept[];
}

/** How a stack of models is trained, all in one graph. */
export interface FineTuneSettings {
  readonly steps: number;
  readonly learningRate: number;
  /** LoRA rank; without one the layers themselves are trained. */
  readonly rank?: number;
  /** Threads of each product. Default 2, which is of no use to a stack of a few models. */
  readonly threads?: number;
}

/** Pictures per model and step, and different ones that it is shown at all. */
const [pictures, ownPictures] = [12, 48];

/**
 * Fine-tunes a stack of models on their own pictures, in one graph: the attention layers of the last block, through LoRA
 * factors or whole. Each model goes its own way, whatever the others do; numbers are the same to rounding in any stack.
 *
 * @returns per model its tensors by name: `….lora.down.weight` [rank, width] and `….lora.up.weight` [width, rank], or
 * `….weight` [width, width].
 */
export async function fineTune(
  { shape, tensors }: Denoiser,
  stack: readonly FineTune[],
  { steps, learningRate, rank, threads }: FineTuneSettings,
): Promise<Map<string, Float32Array>[]> {
  const { width } = shape;
  const models = stack.length;
  const attention = toAttention(shape.blocks - 1);
  const modules = projections.map((projection) => `${attention}.${projection}`);
  const trained = new Map<string, readonly number[]>(
    modules.flatMap((module) =>
      rank === undefined
        ? [[`${module}.weight`, [models, width, width]] as const]
        : [
            [`${module}.lora.down.weight`, [models, rank, width]] as const,
            [`${module}.lora.up.weight`, [models, width, rank]] as const,
          ],
    ),
  );
  const frozen = [...toDenoiserShapes(shape)].filter(([name]) => !trained.has(name));
  const count = models * pictures;
  const session = await openAdamSession(
    trained,
    (builder, parameters) => {
      const fixed = new Map(frozen.map(([name, extents]) => [name, builder.input(name, extents)]));
      const input = builder.input("input", [count * tokens, tokenNumbers]);
      const wanted = builder.input("wanted", [count * tokens, patchNumbers]);
      const position = fixed.get("denoiser.position.weight") ?? input;
      const found = buildDenoiser(builder, shape, count, input, position, (name, x) =>
        applyStack(builder, name, x, fixed, parameters, models),
      );
      return buildLoss(builder, found, wanted, models);
    },
    threads,
  );
  try {
    const randoms = stack.map(({ seed }) => new Random(seed));
    for (const [name, values] of session.parameters) {
      const size = values.length / models;
      for (const [model, random] of randoms.entries()) {
        const own = values.subarray(model * size, (model + 1) * size);
        if (rank === undefined) own.set(tensors.get(name) ?? []);
        // The up factor begins as zeros, so that the model begins as its ancestor.
        else if (name.endsWith(".lora.down.weight")) own.set(random.spread(size, 1 / Math.sqrt(width)));
      }
    }
    const drawn = stack.map(({ concepts }, model) => {
      const random = randoms[model] as Random;
      return Array.from({ length: ownPictures }, (_, index) =>
        drawPicture(concepts[index % concepts.length] as Concept, random),
      );
    });
    const constants = Object.fromEntries(
      frozen.map(([name, extents]) => [name, [tensors.get(name) ?? new Float32Array(0), extents] as const]),
    );
    const input = new Float32Array(count * tokens * tokenNumbers);
    const wanted = new Float32Array(count * tokens * patchNumbers);
    for (let step = 0; step < steps; step++) {
      for (const [model, random] of randoms.entries()) {
        const shown = Array.from({ length: pictures }, () => {
          const own = drawn[model] as Float32Array[];
          return own[Math.floor(random.next() * own.length)] as Float32Array;
        });
        const batch = toNoisyBatch(shown, random);
        input.set(batch.input, model * batch.input.length);
        wanted.set(batch.wanted, model * batch.wanted.length);
      }
      const inputs = {
        ...constants,
        input: [input, [count * tokens, tokenNumbers]],
        wanted: [wanted, [count * tokens, patchNumbers]],
      } as const;
      await session.step(inputs, learningRate);
    }
    return stack.map(
      (_, model) =>
        new Map(
          [...session.parameters].map(([name, values]) => {
            const size = values.length / models;
            return [name, values.slice(model * size, (model + 1) * size)];
          }),
        ),
    );
  } finally {
    await session.dispose();
  }
}

/** y = x·Wᵀ with the frozen layer, the model's own one, or the frozen one and the model's factors. */
function applyStack(
  builder: GraphBuilder,
  name: string,
  x: Value,
  fixed: ReadonlyMap<string, Value>,
  parameters: ReadonlyMap<string, Value>,
  models: number,
): Value {
  const [rows = 1, width = 1] = x.shape;
  const stacked = (): Value => builder.reshape(x, [models, rows / models, width]);
  const turn = (layer: Value): Value => builder.transpose(layer, [0, 2, 1]);
  const [whole, down, up] = ["weight", "lora.down.weight", "lora.up.weight"].map((part) =>
    parameters.get(`${name}.${part}`),
  );
  if (whole !== undefined) return builder.reshape(builder.batchMatmul(stacked(), turn(whole)), [rows, width]);
  const frozen = builder.gemm(x, fixed.get(`${name}.weight`) ?? x, { b: true });
  if (down === undefined || up === undefined) return frozen;
  const added = builder.batchMatmul(builder.batchMatmul(stacked(), turn(down)), turn(up));
  return builder.add(frozen, builder.reshape(added, [rows, up.shape[1] ?? 1]));
}
