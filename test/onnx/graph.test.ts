import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import test from "ava";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { AttributeProto_AttributeType as AttributeType, ModelProtoSchema } from "../../src/gen/onnx/onnx_pb.js";
import { encodeGraph, type Graph } from "../../src/onnx/graph.js";
import { multiply, relativeError } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";

const options: InferenceSession.SessionOptions = { executionProviders: ["cpu"], intraOpNumThreads: 1 };

test("an encoded graph runs in onnxruntime and gives the product", async (t) => {
  const x = randomMatrix(7, 13, 1);
  const r = randomMatrix(13, 5, 2);
  const graph: Graph = {
    name: "product",
    inputs: [{ name: "X", type: "float32", shape: ["rows", 13] }],
    outputs: [{ name: "Y", type: "float32", shape: ["rows", 5] }],
    constants: [{ name: "R", shape: [13, 5], values: r.values }],
    nodes: [{ op: "MatMul", inputs: ["X", "R"], outputs: ["Y"] }],
  };
  const session = await InferenceSession.create(encodeGraph(graph), options);
  t.deepEqual(session.inputNames, ["X"]);
  t.deepEqual(session.outputNames, ["Y"]);
  const { Y } = await session.run({ X: new Tensor("float32", x.values, [7, 13]) });
  t.deepEqual(Y?.dims, [7, 5]);
  t.true(relativeError(Y?.data as Float32Array, multiply(x, r).values) < 1e-6);
  await session.release();
});

test("attributes reach the operator, whole numbers and real ones", async (t) => {
  const graph: Graph = {
    name: "scaled",
    inputs: [{ name: "A", type: "float32", shape: [3, 2] }],
    outputs: [{ name: "Y", type: "float32", shape: [2, 2] }],
    constants: [{ name: "B", shape: [3, 2], values: Float32Array.of(1, 0, 0, 1, 1, 1) }],
    nodes: [
      { op: "Gemm", inputs: ["A", "B"], outputs: ["Y"], attributes: { transA: { int: 1 }, alpha: { float: 0.5 } } },
    ],
  };
  const session = await InferenceSession.create(encodeGraph(graph), options);
  const { Y } = await session.run({ A: new Tensor("float32", Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]) });
  t.deepEqual(Y?.data, Float32Array.of(3, 4, 4, 5));
  await session.release();
});

test("constants in the middle of a larger buffer are written as they are", async (t) => {
  const values = Float32Array.of(9, 9, 1, 2, 9).subarray(2, 4);
  const graph: Graph = {
    name: "sum",
    inputs: [{ name: "X", type: "float16", shape: [2] }],
    outputs: [{ name: "Y", type: "float32", shape: [2] }],
    constants: [{ name: "C", shape: [2], values }],
    nodes: [
      { op: "Cast", inputs: ["X"], outputs: ["W"], attributes: { to: { int: 1 } } },
      { op: "Add", inputs: ["W", "C"], outputs: ["Y"] },
    ],
  };
  const session = await InferenceSession.create(encodeGraph(graph), options);
  // 1 and -2 as float16.
  const { Y } = await session.run({ X: new Tensor("float16", Uint16Array.of(0x3c00, 0xc000), [2]) });
  t.deepEqual(Y?.data, Float32Array.of(2, 0));
  await session.release();
});

test("an encoded graph is byte for byte what protobuf-es writes", (t) => {
  const long = "long".repeat(5000);
  const [real, whole] = [Float32Array.of(1, -2), BigInt64Array.of(3n)];
  const bytes = encodeGraph({
    name: "all ✓",
    inputs: [{ name: "X", type: "float16", shape: ["rows", 0, 1000] }],
    outputs: [{ name: long, type: "int32", shape: [] }],
    constants: [
      { name: "C", shape: [1, 2], values: real },
      { name: "D", shape: [], values: whole },
      { name: "E", shape: [0], values: new Float64Array(0) },
    ],
    nodes: [
      {
        op: "Op",
        inputs: ["X", "", "C"],
        outputs: [long],
        attributes: {
          none: { int: 0 },
          last: { int: -1 },
          large: { int: 2 ** 53 - 1 },
          half: { float: -0.5 },
          axes: { ints: [127, 128, -2] },
          empty: { ints: [] },
        },
      },
      { op: "Other", inputs: [], outputs: [] },
    ],
  });
  const extent = (value: number) => ({ value: { case: "dimValue", value: BigInt(value) } }) as const;
  const rows = { value: { case: "dimParam", value: "rows" } } as const;
  const { INT, FLOAT, INTS } = AttributeType;
  const model = create(ModelProtoSchema, {
    irVersion: 7n,
    producerName: "probestream",
    opsetImport: [{ domain: "", version: 13n }],
    graph: {
      name: "all ✓",
      input: [{ name: "X", type: { tensorType: { elemType: 10, shape: { dim: [rows, extent(0), extent(1000)] } } } }],
      output: [{ name: long, type: { tensorType: { elemType: 6, shape: { dim: [] } } } }],
      initializer: [
        { name: "C", dims: [1n, 2n], dataType: 1, rawData: new Uint8Array(real.buffer) },
        { name: "D", dims: [], dataType: 7, rawData: new Uint8Array(whole.buffer) },
        { name: "E", dims: [0n], dataType: 11, rawData: new Uint8Array(0) },
      ],
      node: [
        {
          opType: "Op",
          input: ["X", "", "C"],
          output: [long],
          attribute: [
            { name: "none", i: 0n, type: INT },
            { name: "last", i: -1n, type: INT },
            { name: "large", i: 2n ** 53n - 1n, type: INT },
            { name: "half", f: -0.5, type: FLOAT },
            { name: "axes", ints: [127n, 128n, -2n], type: INTS },
            { name: "empty", ints: [], type: INTS },
          ],
        },
        { opType: "Other" },
      ],
    },
  });
  t.deepEqual(fromBinary(ModelProtoSchema, bytes), model);
  t.is(Buffer.compare(bytes, toBinary(ModelProtoSchema, model)), 0);
});
