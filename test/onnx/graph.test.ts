import { fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import test from "ava";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { ModelProtoSchema } from "../../src/gen/onnx/onnx_pb.js";
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

test("what is written field by field is the message of the specification, with all that a graph says", (t) => {
  const graph: Graph = {
    name: "all",
    inputs: [
      { name: "X", type: "float16", shape: ["rows", 200] },
      { name: "scalar", type: "int64", shape: [] },
    ],
    outputs: [{ name: "Y", type: "float64", shape: [3] }],
    constants: [
      { name: "C", shape: [1, 2], values: Float32Array.of(1, -2) },
      { name: "D", shape: [1], values: BigInt64Array.of(-1n) },
      { name: "E", shape: [], values: Float64Array.of(0.5) },
    ],
    nodes: [
      { op: "Cast", inputs: ["X"], outputs: ["W"], attributes: { to: { int: 11 }, least: { int: -3 } } },
      {
        op: "Some",
        inputs: ["W", ""],
        outputs: ["Y", "ü"],
        attributes: { f: { float: -0.25 }, s: { ints: [-1, 0, 300] } },
      },
    ],
  };
  const bytes = encodeGraph(graph);
  const message = fromBinary(ModelProtoSchema, bytes);
  const dimensions = (...dim: readonly object[]) => ({ dim });
  const tensor = (elemType: number, ...dim: readonly object[]) => ({
    tensorType: { elemType, shape: dimensions(...dim) },
  });
  t.deepEqual(toJson(ModelProtoSchema, message), {
    irVersion: "7",
    producerName: "probestream",
    opsetImport: [{ domain: "", version: "13" }],
    graph: {
      name: "all",
      node: [
        {
          opType: "Cast",
          input: ["X"],
          output: ["W"],
          attribute: [
            { name: "to", i: "11", type: "INT" },
            { name: "least", i: "-3", type: "INT" },
          ],
        },
        {
          opType: "Some",
          input: ["W", ""],
          output: ["Y", "ü"],
          attribute: [
            { name: "f", f: -0.25, type: "FLOAT" },
            { name: "s", ints: ["-1", "0", "300"], type: "INTS" },
          ],
        },
      ],
      initializer: [
        { name: "C", dims: ["1", "2"], dataType: 1, rawData: "AACAPwAAAMA=" },
        { name: "D", dims: ["1"], dataType: 7, rawData: "//////////8=" },
        { name: "E", dataType: 11, rawData: "AAAAAAAA4D8=" },
      ],
      input: [
        { name: "X", type: tensor(10, { dimParam: "rows" }, { dimValue: "200" }) },
        { name: "scalar", type: { tensorType: { elemType: 7, shape: {} } } },
      ],
      output: [{ name: "Y", type: tensor(11, { dimValue: "3" }) }],
    },
  });
  // A field by another number would be kept as unknown, and not shown.
  t.is(toBinary(ModelProtoSchema, message, { writeUnknownFields: false }).byteLength, bytes.byteLength);
});
