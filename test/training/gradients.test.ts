import test from "ava";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Random } from "../../src/linalg/random.js";
import { encodeGraph } from "../../src/onnx/graph.js";
import { createTrainGraph, gradientPrefix } from "../../src/training/train-graph.js";
import { countNumbers, type TrainShape, toParameterShapes } from "../../src/training/train-shape.js";

const sizes = { probes: 3, projection: 4, representation: 5 };
const shapes: Readonly<Record<string, TrainShape>> = {
  "zero-shot on dense layers": {
    objective: "zeroshot",
    layer: { rows: 6, columns: 7 },
    ...sizes,
    labels: 4,
    textWidth: 3,
  },
  "zero-shot on LoRA layers": {
    objective: "zeroshot",
    layer: { rows: 6, columns: 7, rank: 2 },
    ...sizes,
    labels: 4,
    textWidth: 3,
  },
  "zero-shot with a learned temperature": {
    objective: "zeroshot",
    layer: { rows: 6, columns: 7, rank: 2 },
    ...sizes,
    labels: 4,
    textWidth: 3,
    temperature: "learned",
  },
  "classification on dense layers": {
    objective: "classification",
    layer: { rows: 6, columns: 7 },
    ...sizes,
    labels: 4,
  },
  "classification on LoRA layers": {
    objective: "classification",
    layer: { rows: 6, columns: 7, rank: 2 },
    ...sizes,
    labels: 4,
  },
};
const batchSize = 5;
const step = 1e-5;

for (const [title, shape] of Object.entries(shapes)) {
  test(`${title}: the gradient of every parameter is that of finite differences, in float64`, async (t) => {
    const graph = createTrainGraph(shape, batchSize, "float64");
    const session = await InferenceSession.create(encodeGraph(graph), { graphOptimizationLevel: "disabled" });
    t.teardown(() => session.release());
    const random = new Random(3);
    const inputs = new Map(
      graph.inputs.map(({ name, shape: extents }) => {
        const values = Float64Array.from({ length: countNumbers(extents as number[]) }, () => 2 * random.next() - 1);
        return [name, { values, extents: extents as number[] }];
      }),
    );
    const targets = inputs.get("targets")?.values ?? new Float64Array(0);
    for (let i = 0; i < targets.length; i++)
      targets[i] = Math.floor(i / shape.labels) % shape.labels === i % shape.labels ? 1 : 0;
    const run = async (): Promise<Record<string, Tensor>> =>
      session.run(
        Object.fromEntries(
          [...inputs].map(([name, { values, extents }]) => [name, new Tensor("float64", values, extents)]),
        ),
      ) as Promise<Record<string, Tensor>>;
    const loss = async (): Promise<number> => Number((await run())["loss"]?.data[0]);
    const found = await run();
    for (const [name] of toParameterShapes(shape)) {
      const gradient = Float64Array.from(found[`${gradientPrefix}${name}`]?.data as Float64Array);
      const values = inputs.get(name)?.values ?? new Float64Array(0);
      t.is(gradient.length, values.length);
      let [difference, norm] = [0, 0];
      for (let i = 0; i < values.length; i++) {
        const kept = values[i] as number;
        values[i] = kept + step;
        const above = await loss();
        values[i] = kept - step;
        const below = await loss();
        values[i] = kept;
        const expected = (above - below) / (2 * step);
        difference += ((gradient[i] as number) - expected) ** 2;
        norm += expected ** 2;
      }
      const error = Math.sqrt(difference / norm);
      t.true(norm > 0 && error <= 1e-6, `${name}: ${error}`);
      t.log(`${name}: ${error.toExponential(1)}`);
    }
  });
}
