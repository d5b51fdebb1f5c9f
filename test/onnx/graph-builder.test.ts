import test from "ava";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { InternalError } from "../../src/errors/probestream-error.js";
import { Random } from "../../src/linalg/random.js";
import { encodeGraph } from "../../src/onnx/graph.js";
import { GraphBuilder, type Value } from "../../src/onnx/graph-builder.js";

type Build = (builder: GraphBuilder, a: Value, b: Value) => Value;

/** Extents of two inputs, and what is computed of them. */
const cases: Readonly<Record<string, readonly [readonly number[], readonly number[], Build]>> = {
  a·b: [[2, 3], [3, 4], (g, a, b) => g.gemm(a, b)],
  aᵀ·b: [[3, 2], [3, 4], (g, a, b) => g.gemm(a, b, { a: true })],
  a·bᵀ: [[2, 3], [4, 3], (g, a, b) => g.gemm(a, b, { b: true })],
  aᵀ·bᵀ: [[3, 2], [4, 3], (g, a, b) => g.gemm(a, b, { a: true, b: true })],
  "a stack of products": [[2, 2, 3], [2, 3, 2], (g, a, b) => g.batchMatmul(a, b)],
  "axes turned in a circle": [[2, 3, 4], [4, 2, 3], (g, a, b) => g.multiply(g.transpose(a, [2, 0, 1]), b)],
  "other extents": [[2, 6], [3, 4], (g, a, b) => g.multiply(g.reshape(a, [3, 4]), b)],
  "a sum with a row": [[2, 3], [3], (g, a, b) => g.add(a, b)],
  "a difference with a column": [[2, 3], [2, 1], (g, a, b) => g.subtract(a, b)],
  "a product with one number": [[2, 3], [1], (g, a, b) => g.multiply(b, a)],
  "a quotient with a row": [[2, 3], [3], (g, a, b) => g.divide(a, b)],
  "exp and its negative": [[2, 3], [2, 3], (g, a, b) => g.add(g.exp(a), g.exp(g.negate(b)))],
  roots: [[2, 3], [2, 3], (g, a, b) => g.multiply(g.sqrt(g.multiply(a, a)), b)],
  "what is above zero": [[2, 3], [2, 3], (g, a, b) => g.multiply(g.relu(a), b)],
  softplus: [[2, 3], [2, 3], (g, a, b) => g.multiply(g.softplus(a), b)],
  "log softmax": [[2, 3], [2, 3], (g, a, b) => g.multiply(g.logSoftmax(a), b)],
  "a sum over the first axis": [[2, 3], [1, 3], (g, a, b) => g.multiply(g.sum(a, [0]), b)],
  "a value that is used twice": [[2, 2], [2, 2], (g, a, b) => g.gemm(g.gemm(a, b), a)],
};

for (const [title, [shapeA, shapeB, build]] of Object.entries(cases)) {
  test(`gradients: ${title}`, async (t) => {
    const builder = new GraphBuilder("float64");
    const [a, b] = [builder.input("a", shapeA), builder.input("b", shapeB)];
    const result = build(builder, a, b);
    // Each number of the result counts otherwise.
    const weights = builder.input("w", result.shape);
    const total = builder.sum(builder.multiply(result, weights), [...result.shape.keys()]);
    const [gradientA, gradientB] = builder.gradients(total, [a, b]) as [Value, Value];
    t.deepEqual([gradientA.shape, gradientB.shape], [shapeA, shapeB]);
    builder.output("total", total);
    builder.output("ga", gradientA);
    builder.output("gb", gradientB);
    const session = await InferenceSession.create(encodeGraph(builder.toGraph("case")));
    t.teardown(() => session.release());
    const random = new Random(5);
    const inputs = Object.fromEntries(
      [["a", shapeA] as const, ["b", shapeB] as const, ["w", result.shape] as const].map(([name, shape]) => {
        const count = shape.reduce((product, size) => product * size, 1);
        return [name, { shape, values: Float64Array.from({ length: count }, () => 0.2 + random.next()) }];
      }),
    );
    const run = (): Promise<InferenceSession.ReturnType> =>
      session.run(
        Object.fromEntries(
          Object.entries(inputs).map(([name, { shape, values }]) => [name, new Tensor("float64", values, [...shape])]),
        ),
      );
    const { ga, gb } = await run();
    for (const [name, gradient] of [["a", ga] as const, ["b", gb] as const]) {
      const values = inputs[name]?.values ?? new Float64Array(0);
      for (let i = 0; i < values.length; i++) {
        const kept = values[i] as number;
        values[i] = kept + 1e-5;
        const above = Number((await run())["total"]?.data[0]);
        values[i] = kept - 1e-5;
        const slope = above - Number((await run())["total"]?.data[0]);
        values[i] = kept;
        const found = Number(gradient?.data[i]);
        t.true(Math.abs(slope / 2e-5 - found) < 1e-7 * (1 + Math.abs(found)), `${name}[${i}]: ${found}`);
      }
    }
  });
}

test("what a loss does not depend on has no gradient", (t) => {
  const builder = new GraphBuilder();
  const [a, b] = [builder.input("a", [2]), builder.input("b", [2])];
  t.throws(() => builder.gradients(builder.sum(a, [0]), [b]), { instanceOf: InternalError, message: /depend on b/ });
  t.throws(() => builder.gradients(a, [a]), { instanceOf: InternalError, message: /one number/ });
});

test("extents that do not fit are refused", (t) => {
  const builder = new GraphBuilder();
  const [a, b] = [builder.input("a", [2, 3]), builder.input("b", [2, 4])];
  for (const build of [() => builder.gemm(a, b), () => builder.add(a, b), () => builder.batchMatmul(a, b)]) {
    t.throws(build, { instanceOf: InternalError, message: /2 × 3 and 2 × 4/ });
  }
});
