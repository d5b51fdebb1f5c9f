import type { InferenceSession } from "onnxruntime-node";
import { encodeGraph } from "../onnx/graph.js";
import type { LayerSet } from "./datasets/layer-set.js";
import { loadTrainingRuntime, toLayerFeeds, toParameterFeeds, toTensor } from "./feeds.js";
import { countMultiplyAdds, selectThreads } from "./select-threads.js";
import { createScoreGraph } from "./train-graph.js";
import { type TrainShape, toParameterShapes } from "./train-shape.js";

/** What an expert's parameters say of models. */
export interface ModelScores {
  /** n × r_T. */
  readonly representations: Float32Array;
  /** n × labels: cosines with the texts' images, or logits. */
  readonly scores: Float32Array;
}

/** Models that are scored in one run. */
const batchSize = 128;

/** Scores models with parameters as they stand. */
export interface Scorer {
  score(layers: LayerSet, indices: readonly number[], signal?: AbortSignal): Promise<ModelScores>;
  dispose(): Promise<void>;
}

/**
 * Opens a scorer on parameters: it reads them anew at each run.
 *
 * @param parameters one view per parameter, by its name.
 * @param texts labels × d_text, for zero-shot.
 * @param threads of each product, at most.
 */
export async function openScorer(
  shape: TrainShape,
  parameters: ReadonlyMap<string, Float32Array>,
  texts: Float32Array | undefined,
  threads = 2,
): Promise<Scorer> {
  const runtime = await loadTrainingRuntime();
  const sessions = new Map<number, InferenceSession>();
  const fixed = toParameterFeeds(runtime, toParameterShapes(shape), parameters);
  if (texts !== undefined) fixed["texts"] = toTensor(runtime, texts, [shape.labels, shape.textWidth ?? 0]);

  const sessionFor = async (size: number): Promise<InferenceSession> => {
    const open = sessions.get(size);
    if (open !== undefined) return open;
    const session = await runtime.InferenceSession.create(encodeGraph(createScoreGraph(shape, size)), {
      executionProviders: ["cpu"],
      intraOpNumThreads: selectThreads(countMultiplyAdds(shape, size), threads),
      interOpNumThreads: 1,
    });
    sessions.set(size, session);
    return session;
  };

  return {
    score: async (layers, indices, signal) => {
      const representations = new Float32Array(indices.length * shape.representation);
      const scores = new Float32Array(indices.length * shape.labels);
      for (let begin = 0; begin < indices.length; begin += batchSize) {
        signal?.throwIfAborted();
        const batch = indices.slice(begin, begin + batchSize);
        const feeds = { ...fixed, ...toLayerFeeds(runtime, shape, await layers.read(batch)) };
        const session = await sessionFor(batch.length);
        const found = await session.run(feeds);
        representations.set(found["representation"]?.data as Float32Array, begin * shape.representation);
        scores.set(found["scores"]?.data as Float32Array, begin * shape.labels);
      }
      return { representations, scores };
    },
    dispose: async () => {
      for (const session of sessions.values()) await session.release();
      sessions.clear();
    },
  };
}
