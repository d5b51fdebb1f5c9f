import { Random } from "../../src/linalg/random.js";
import { type BuildLoss, openAdamSession } from "./adam-session.js";
import type { Concept } from "./concepts.js";
import {
  buildDenoiser,
  buildLoss,
  type DenoiserShape,
  patchNumbers,
  toDenoiserShapes,
  tokenNumbers,
  tokens,
} from "./denoiser-graph.js";
import { drawPicture } from "./draw-picture.js";
import { toNoisyBatch } from "./noisy-batch.js";

/** How a denoiser is trained. */
export interface DenoiserSettings {
  readonly shape: DenoiserShape;
  readonly concepts: readonly Concept[];
  readonly steps: number;
  readonly seed: number;
  /** Tensors by name to go on from; without them it begins with random ones. */
  readonly from?: ReadonlyMap<string, Float32Array>;
  /** Pictures of a step. Default 128. */
  readonly pictures?: number;
  /** Falls to 0 along half a cosine. Default 2e-3. */
  readonly learningRate?: number;
  /** Default 2; one does as well for a small denoiser. */
  readonly threads?: number;
  readonly onStep?: (step: number, loss: number) => void;
}

/** Trains all layers of a denoiser on pictures of all concepts alike. Gives its tensors by name. */
export async function trainDenoiser(settings: DenoiserSettings): Promise<Map<string, Float32Array>> {
  const { shape, concepts, steps, seed, from, pictures = 128, learningRate = 2e-3, threads, onStep } = settings;
  const random = new Random(seed);
  const shapes = toDenoiserShapes(shape);
  const build: BuildLoss = (builder, parameters) => {
    const input = builder.input("input", [pictures * tokens, tokenNumbers]);
    const wanted = builder.input("wanted", [pictures * tokens, patchNumbers]);
    const take = (name: string) => parameters.get(`${name}.weight`) ?? input;
    const found = buildDenoiser(builder, shape, pictures, input, take("denoiser.position"), (name, x) =>
      builder.gemm(x, take(name), { b: true }),
    );
    return buildLoss(builder, found, wanted, 1);
  };
  const session = await openAdamSession(shapes, build, threads);
  try {
    for (const [name, extents] of shapes) {
      const values = session.parameters.get(name) ?? new Float32Array(0);
      values.set(from?.get(name) ?? random.spread(values.length, 1 / Math.sqrt(extents[1] ?? 1)));
    }
    for (let step = 0; step < steps; step++) {
      const drawn = Array.from({ length: pictures }, () => {
        const concept = concepts[Math.floor(random.next() * concepts.length)];
        return drawPicture(concept as Concept, random);
      });
      const { input, wanted } = toNoisyBatch(drawn, random);
      const rate = (learningRate * (1 + Math.cos((Math.PI * step) / steps))) / 2;
      const inputs = {
        input: [input, [pictures * tokens, tokenNumbers]],
        wanted: [wanted, [pictures * tokens, patchNumbers]],
      } as const;
      const loss = await session.step(inputs, rate);
      onStep?.(step, loss);
    }
    return new Map([...session.parameters].map(([name, values]) => [name, values.slice()]));
  } finally {
    await session.dispose();
  }
}
