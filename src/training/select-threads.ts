import type { TrainShape } from "./train-shape.js";

/**
 * Multiply-adds of a run up to which a second thread makes it no faster, while waiting for its share keeps a core busy. A
 * training step on LoRA layers of 128 × 128 with 16 models, on two cores: 2.6 million multiply-adds took 0.87 ms with one thread
 * and 0.94 ms with two, at 1.7 times the processor time; 5.4 million took 1.0 and 0.73 ms.
 */
const smallRun = 3_000_000;

/** Threads that a graph is run with: as many as may be, or one where its products are too small to be shared. */
export function selectThreads(multiplyAdds: number, threads: number): number {
  return multiplyAdds <= smallRun ? 1 : threads;
}

/** Multiply-adds that representing so many models takes: X·U or its factors', V·(X·U), the encoders and the head. */
export function countMultiplyAdds(shape: TrainShape, models: number): number {
  const { layer, probes, projection, representation, labels, textWidth = labels } = shape;
  const { rows, columns, rank } = layer;
  const responses =
    rank === undefined
      ? probes * rows * (columns + projection)
      : rank * (probes * columns + projection * rows + probes * projection);
  return models * (responses + representation * (probes * projection + textWidth));
}
