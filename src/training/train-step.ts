import type { InferenceSession } from "onnxruntime-node";
import { encodeGraph } from "../onnx/graph.js";
import { type AdamSettings, openAdam } from "./adam.js";
import { loadTrainingRuntime, toLayerFeeds, toParameterFeeds, toTensor } from "./feeds.js";
import { createParameterMemory, type ParameterMemory } from "./parameter-memory.js";
import { countMultiplyAdds, selectThreads } from "./select-threads.js";
import { createTrainGraph, gradientPrefix } from "./train-graph.js";
import { type ParameterShapes, type TrainShape, toParameterShapes } from "./train-shape.js";

/** A batch of layers with what they are to be taken for; shapes as those of `createTrainGraph`. */
export interface Batch {
  readonly size: number;
  /** By the inputs' names: `X`, or `down` and `up`. */
  readonly layers: ReadonlyMap<string, Float32Array>;
  /** n × labels. */
  readonly targets: Float32Array;
}

/** Parameters that are being trained. */
export interface Trainer {
  readonly shapes: ParameterShapes;
  readonly memory: ParameterMemory;
  /** Steps made so far; set it to go on with moments that were saved. */
  steps: number;
  /** Milliseconds spent so far. */
  readonly times: { gradientsMs: number; adamMs: number };
  /** Computes the loss of a batch and its gradients, and moves nothing. */
  gradients(batch: Batch): Promise<number>;
  /** Moves the parameters by the gradients that were computed last. */
  move(settings: AdamSettings): void;
  dispose(): Promise<void>;
}

/** How a {@link Trainer} is opened. */
export interface TrainerOptions {
  /** labels × d_text, the candidates of zero-shot training. */
  readonly texts?: Float32Array | undefined;
  /** Threads of each product at most. Default 2. */
  readonly threads?: number | undefined;
}

/**
 * Opens a trainer with parameters that are all zero. A graph of its own serves each size of batch: usually two, that of
 * all batches and that of an epoch's last.
 *
 * Memory: 16 bytes per parameter, and for each size of batch what its graph keeps between forward and backward, about
 * 12·n·r_U·r_V bytes.
 */
export async function openTrainer(shape: TrainShape, options: TrainerOptions = {}): Promise<Trainer> {
  const { texts = new Float32Array(0), threads = 2 } = options;
  const runtime = await loadTrainingRuntime();
  const shapes = toParameterShapes(shape);
  const memory = createParameterMemory(shapes);
  const adam = await openAdam(memory.memory);
  const sessions = new Map<number, InferenceSession>();
  const times = { gradientsMs: 0, adamMs: 0 };
  const fixed = toParameterFeeds(runtime, shapes, memory.parameters);
  const gradients = toParameterFeeds(runtime, shapes, memory.gradients, gradientPrefix);
  if (shape.objective === "zeroshot") fixed["texts"] = toTensor(runtime, texts, [shape.labels, shape.textWidth ?? 0]);

  const sessionFor = async (batchSize: number): Promise<InferenceSession> => {
    const open = sessions.get(batchSize);
    if (open !== undefined) return open;
    const session = await runtime.InferenceSession.create(encodeGraph(createTrainGraph(shape, batchSize)), {
      executionProviders: ["cpu"],
      intraOpNumThreads: selectThreads(countMultiplyAdds(shape, batchSize), threads),
      interOpNumThreads: 1,
    });
    sessions.set(batchSize, session);
    return session;
  };

  const trainer: Trainer = {
    shapes,
    memory,
    steps: 0,
    times,
    gradients: async ({ size, layers, targets }) => {
      const session = await sessionFor(size);
      const started = performance.now();
      const feeds = {
        ...fixed,
        ...toLayerFeeds(runtime, shape, layers),
        targets: toTensor(runtime, targets, [size, shape.labels]),
      };
      const { loss } = await session.run(feeds, { loss: null, ...gradients });
      times.gradientsMs += performance.now() - started;
      return Number(loss?.data[0]);
    },
    move: (settings) => {
      const started = performance.now();
      trainer.steps++;
      adam(memory.regions, trainer.steps, settings);
      times.adamMs += performance.now() - started;
    },
    dispose: async () => {
      for (const session of sessions.values()) await session.release();
      sessions.clear();
    },
  };
  return trainer;
}
