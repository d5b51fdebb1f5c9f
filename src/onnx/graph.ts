import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../gen/onnx/onnx_pb.js";

/** Version of the model format written; every runtime since ONNX 1.8 reads it. */
const irVersion = 7n;
/** Operator set the nodes are taken from. */
const opsetVersion = 13n;

/** Element types of graph values, by the numbers of the specification (TensorProto.DataType). */
const elementTypes = { float32: 1, int32: 6, int64: 7, float16: 10, float64: 11 } as const;

/** Element type of a graph value. */
export type ElementType = keyof typeof elementTypes;

/** Name, type and shape of a graph input or output; a string names an extent that is known only when it runs. */
export interface GraphValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}

/** A constant of the graph, row-major; its element type is that of its numbers. */
export interface GraphConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | Float64Array | BigInt64Array;
}

/** Value of an operator's attribute: whole numbers, or a real one. */
export type GraphAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] };

/** One operator call. */
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, GraphAttribute>>;
}

/** A graph of ONNX operators, in the order in which they run. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly constants: readonly GraphConstant[];
  readonly nodes: readonly GraphNode[];
}

/**
 * Encodes a graph as an ONNX model, the bytes that a runtime loads.
 *
 * Memory: the constants once more. A message that lies in another is its field's key, its length and its bytes, so the
 * constants can be put straight into the place where they end up; the encoder of protobuf-es copies them at each of
 * four levels.
 *
 * @see https://onnx.ai/onnx/repo-docs/IR.html
 */
export function encodeGraph(graph: Graph): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: "probestream",
    opsetImport: [{ domain: "", version: opsetVersion }],
  });
  const body = create(GraphProtoSchema, {
    name: graph.name,
    node: graph.nodes.map(toNode),
    input: graph.inputs.map(toValueInfo),
    output: graph.outputs.map(toValueInfo),
  });
  const constants = graph.constants.flatMap((constant) =>
    toField(GraphProtoSchema.field.initializer.number, toTensorParts(constant)),
  );
  return concatenate([
    toBinary(ModelProtoSchema, model),
    ...toField(ModelProtoSchema.field.graph.number, [toBinary(GraphProtoSchema, body), ...constants]),
  ]);
}

/** A constant as a TensorProto, in parts; the last is a view of its numbers. */
function toTensorParts({ name, shape, values }: GraphConstant): Uint8Array[] {
  const dataType = elementTypes[toElementType(values)];
  const head = create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType });
  const numbers = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return [toBinary(TensorProtoSchema, head), ...toField(TensorProtoSchema.field.rawData.number, [numbers])];
}

function toElementType(values: GraphConstant["values"]): ElementType {
  if (values instanceof Float32Array) return "float32";
  return values instanceof Float64Array ? "float64" : "int64";
}

/** A field of bytes or of a message: its key and length before the parts of its content. */
function toField(number: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const key = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(lengthOf(parts)).finish();
  return [key, ...parts];
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function toNode(node: GraphNode): NodeProto {
  return create(NodeProtoSchema, {
    opType: node.op,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => toAttribute(name, value)),
  });
}

function toAttribute(name: string, value: GraphAttribute): AttributeProto {
  if ("int" in value) {
    return create(AttributeProtoSchema, { name, i: BigInt(value.int), type: AttributeProto_AttributeType.INT });
  }
  if ("float" in value) {
    return create(AttributeProtoSchema, { name, f: value.float, type: AttributeProto_AttributeType.FLOAT });
  }
  const ints = value.ints.map(BigInt);
  return create(AttributeProtoSchema, { name, ints, type: AttributeProto_AttributeType.INTS });
}

function toValueInfo({ name, type, shape }: GraphValue): ValueInfoProto {
  const dim = shape.map((extent) => ({
    value:
      typeof extent === "number"
        ? ({ case: "dimValue", value: BigInt(extent) } as const)
        : ({ case: "dimParam", value: extent } as const),
  }));
  return create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType: elementTypes[type], shape: { dim } } } });
}
