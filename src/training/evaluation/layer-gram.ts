import { encodeGraph } from "../../onnx/graph.js";
import { GraphBuilder } from "../../onnx/graph-builder.js";
import type { LayerSet } from "../datasets/layer-set.js";
import { loadTrainingRuntime, toTensor } from "../feeds.js";
import { selectThreads } from "../select-threads.js";
import type { TrainShape } from "../train-shape.js";

/** Bytes of layers of one side of a block at most. */
const blockBytes = 64 * 1024 * 1024;
/** Models of a block at most. */
const blockModels = 64;

/**
 * Inner products between layers, ⟨X_i, X_j⟩ over all their numbers: all that a linear model of the flattened layers needs,
 * however large they are. Those of LoRA layers are taken through the factors, ⟨B·A, D·C⟩ = sum of (Bᵀ·D) ∘ (A·Cᵀ).
 *
 * Memory: 8 bytes per pair, and twice 64 MiB of layers.
 *
 * @param rows models of the result's rows, by their index in the set.
 * @param columns models of its columns.
 */
export async function toLayerGram(
  layers: LayerSet,
  rows: readonly number[],
  columns: readonly number[],
  options: { readonly threads?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Float64Array> {
  const { threads = 2, signal } = options;
  const runtime = await loadTrainingRuntime();
  const numbers = layers.layer.rank === undefined ? layers.layer.rows * layers.layer.columns : toFactorNumbers(layers);
  const size = Math.max(1, Math.min(blockModels, Math.floor(blockBytes / (4 * numbers))));
  const sessions = new Map<string, Awaited<ReturnType<typeof runtime.InferenceSession.create>>>();
  const { rank = 1 } = layers.layer;
  const sessionFor = async (counts: readonly [number, number]) => {
    const key = counts.join();
    const open = sessions.get(key);
    if (open !== undefined) return open;
    const session = await runtime.InferenceSession.create(encodeGraph(createGramGraph(layers.layer, counts)), {
      executionProviders: ["cpu"],
      intraOpNumThreads: selectThreads(counts[0] * counts[1] * rank * numbers, threads),
      interOpNumThreads: 1,
    });
    sessions.set(key, session);
    return session;
  };
  const gram = new Float64Array(rows.length * columns.length);
  const isSquare = rows === columns;
  try {
    for (let begin = 0; begin < rows.length; begin += size) {
      const left = rows.slice(begin, begin + size);
      const a = await layers.read(left);
      for (let from = isSquare ? begin : 0; from < columns.length; from += size) {
        signal?.throwIfAborted();
        const right = columns.slice(from, from + size);
        const b = isSquare && from === begin ? a : await layers.read(right);
        const session = await sessionFor([left.length, right.length]);
        const feeds = Object.fromEntries(
          [...a].flatMap(([name, values]) => [
            [`a.${name}`, toTensor(runtime, values, toExtents(layers.layer, name, left.length))],
            [`b.${name}`, toTensor(runtime, b.get(name) ?? values, toExtents(layers.layer, name, right.length))],
          ]),
        );
        const { gram: found } = await session.run(feeds);
        const block = found?.data as Float32Array;
        for (const [at, value] of block.entries()) {
          const [row, column] = [begin + Math.floor(at / right.length), from + (at % right.length)];
          gram[row * columns.length + column] = value;
          if (isSquare) gram[column * columns.length + row] = value;
        }
      }
    }
    return gram;
  } finally {
    for (const session of sessions.values()) await session.release();
  }
}

function toFactorNumbers({ layer: { rows, columns, rank = 0 } }: LayerSet): number {
  return rank * (rows + columns);
}

function toExtents({ rows, columns, rank = 0 }: TrainShape["layer"], name: string, count: number): [number, number] {
  if (name === "X") return [count, rows * columns];
  return [count * rank, name === "up" ? rows : columns];
}

function createGramGraph(layer: TrainShape["layer"], counts: readonly [number, number]) {
  const builder = new GraphBuilder();
  const [a, b] = counts;
  const productOf = (name: string) => {
    const [left, right] = [
      builder.input(`a.${name}`, toExtents(layer, name, a)),
      builder.input(`b.${name}`, toExtents(layer, name, b)),
    ];
    return builder.gemm(left, right, { b: true });
  };
  if (layer.rank === undefined) builder.output("gram", productOf("X"));
  else {
    const { rank } = layer;
    const product = builder.reshape(builder.multiply(productOf("down"), productOf("up")), [a, rank, b, rank]);
    builder.output("gram", builder.reshape(builder.sum(product, [1, 3]), [a, b]));
  }
  return builder.toGraph("gram");
}
