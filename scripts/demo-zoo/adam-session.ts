import type { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeGraph } from "../../src/onnx/graph.js";
import { GraphBuilder, type Value } from "../../src/onnx/graph-builder.js";
import { openAdam } from "../../src/training/adam.js";
import { loadTrainingRuntime, toParameterFeeds, toTensor } from "../../src/training/feeds.js";
import { createParameterMemory } from "../../src/training/parameter-memory.js";

/** Tensors that are trained. */
export interface AdamSession {
  /** By name. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /** Makes one step; gives the loss before it. */
  step(
    inputs: Readonly<Record<string, readonly [Float32Array, readonly number[]]>>,
    learningRate: number,
  ): Promise<number>;
  /** Forgets the gradients so far, so that another model can be trained. */
  restart(): void;
  dispose(): Promise<void>;
}

/** Makes the loss of the parameters, declaring the other inputs itself. */
export type BuildLoss = (builder: GraphBuilder, parameters: ReadonlyMap<string, Value>) => Value;

const prefix = "gradient.";

/** Opens training of some tensors with a graph of its own: the loss and its gradients by onnxruntime, then Adam. */
export async function openAdamSession(
  shapes: ReadonlyMap<string, readonly number[]>,
  build: BuildLoss,
  threads = 2,
): Promise<AdamSession> {
  const runtime = await loadTrainingRuntime();
  const builder = new GraphBuilder();
  const values = new Map([...shapes].map(([name, shape]) => [name, builder.input(name, shape)]));
  const loss = build(builder, values);
  builder.output("loss", loss);
  for (const [index, gradient] of builder.gradients(loss, [...values.values()]).entries()) {
    builder.output(`${prefix}${[...values.keys()][index]}`, gradient);
  }
  const session: InferenceSession = await runtime.InferenceSession.create(encodeGraph(builder.toGraph("denoiser")), {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const memory = createParameterMemory(shapes);
  const adam = await openAdam(memory.memory);
  const fixed = toParameterFeeds(runtime, shapes, memory.parameters);
  const gradients = toParameterFeeds(runtime, shapes, memory.gradients, prefix);
  let steps = 0;
  return {
    parameters: memory.parameters,
    step: async (inputs, learningRate) => {
      const feeds: Record<string, Tensor> = { ...fixed };
      for (const [name, [numbers, shape]] of Object.entries(inputs)) feeds[name] = toTensor(runtime, numbers, shape);
      const found = await session.run(feeds, { loss: null, ...gradients });
      adam(memory.regions, ++steps, { learningRate });
      return Number(found["loss"]?.data[0]);
    },
    restart: () => {
      steps = 0;
      for (const moment of memory.moments) moment.fill(0);
    },
    dispose: () => session.release(),
  };
}
