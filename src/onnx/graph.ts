import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Version of the model format written; every runtime since ONNX 1.8 reads it. */
const irVersion = 7;
/** Operator set the nodes are taken from. */
const opsetVersion = 13;

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

/** Numbers of the fields that are written. @see proto/onnx/onnx.proto */
const fields = {
  model: { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 },
  opset: { domain: 1, version: 2 },
  graph: { node: 1, name: 2, initializer: 5, input: 11, output: 12 },
  node: { input: 1, output: 2, opType: 4, attribute: 5 },
  attribute: { name: 1, float: 2, int: 3, ints: 8, type: 20 },
  tensor: { dims: 1, dataType: 2, name: 8, rawData: 9 },
  valueInfo: { name: 1, type: 2 },
  type: { tensor: 1 },
  tensorType: { elementType: 1, shape: 2 },
  shape: { dim: 1 },
  dimension: { value: 1, param: 2 },
} as const;

/** AttributeProto.AttributeType. */
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

/**
 * Encodes a graph as an ONNX model, the bytes that a runtime loads.
 *
 * Field by field, without the generated messages: each worker thread encodes some small graphs, and would load protobuf-es
 * with its descriptors for that, which takes 45 to 60 ms of processor time, a third or more of its start.
 *
 * Memory: the constants once more. A message that lies in another is its field's key, its length and its bytes, so the
 * constants can be put straight into the place where they end up; a writer would copy them at each of four levels.
 *
 * @see https://onnx.ai/onnx/repo-docs/IR.html
 */
export function encodeGraph(graph: Graph): Uint8Array {
  const model = new BinaryWriter();
  model.tag(fields.model.irVersion, WireType.Varint).int64(irVersion);
  writeString(model, fields.model.producerName, "probestream");
  writeMessage(model, fields.model.opsetImport, () => {
    writeString(model, fields.opset.domain, "");
    model.tag(fields.opset.version, WireType.Varint).int64(opsetVersion);
  });
  const body = new BinaryWriter();
  for (const node of graph.nodes) writeMessage(body, fields.graph.node, () => writeNode(body, node));
  writeString(body, fields.graph.name, graph.name);
  for (const value of graph.inputs) writeMessage(body, fields.graph.input, () => writeValueInfo(body, value));
  for (const value of graph.outputs) writeMessage(body, fields.graph.output, () => writeValueInfo(body, value));
  const constants = graph.constants.flatMap((constant) => toField(fields.graph.initializer, toTensorParts(constant)));
  return concatenate([model.finish(), ...toField(fields.model.graph, [body.finish(), ...constants])]);
}

/** A constant as a TensorProto, in parts; the last is a view of its numbers. */
function toTensorParts({ name, shape, values }: GraphConstant): Uint8Array[] {
  const head = new BinaryWriter();
  for (const extent of shape) head.tag(fields.tensor.dims, WireType.Varint).int64(extent);
  head.tag(fields.tensor.dataType, WireType.Varint).int32(elementTypes[toElementType(values)]);
  writeString(head, fields.tensor.name, name);
  const numbers = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return [head.finish(), ...toField(fields.tensor.rawData, [numbers])];
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

function writeNode(writer: BinaryWriter, { op, inputs, outputs, attributes = {} }: GraphNode): void {
  for (const input of inputs) writeString(writer, fields.node.input, input);
  for (const output of outputs) writeString(writer, fields.node.output, output);
  writeString(writer, fields.node.opType, op);
  for (const [name, value] of Object.entries(attributes)) {
    writeMessage(writer, fields.node.attribute, () => writeAttribute(writer, name, value));
  }
}

function writeAttribute(writer: BinaryWriter, name: string, value: GraphAttribute): void {
  const { attribute } = fields;
  writeString(writer, attribute.name, name);
  if ("float" in value) writer.tag(attribute.float, WireType.Bit32).float(value.float);
  if ("int" in value) writer.tag(attribute.int, WireType.Varint).int64(value.int);
  if ("ints" in value) for (const int of value.ints) writer.tag(attribute.ints, WireType.Varint).int64(int);
  const type = "float" in value ? "float" : "int" in value ? "int" : "ints";
  writer.tag(attribute.type, WireType.Varint).int32(attributeTypes[type]);
}

function writeValueInfo(writer: BinaryWriter, { name, type, shape }: GraphValue): void {
  const { valueInfo, tensorType } = fields;
  writeString(writer, valueInfo.name, name);
  writeMessage(writer, valueInfo.type, () =>
    writeMessage(writer, fields.type.tensor, () => {
      writer.tag(tensorType.elementType, WireType.Varint).int32(elementTypes[type]);
      writeMessage(writer, tensorType.shape, () => {
        for (const extent of shape) writeMessage(writer, fields.shape.dim, () => writeDimension(writer, extent));
      });
    }),
  );
}

function writeDimension(writer: BinaryWriter, extent: number | string): void {
  if (typeof extent === "string") writeString(writer, fields.dimension.param, extent);
  else writer.tag(fields.dimension.value, WireType.Varint).int64(extent);
}

function writeString(writer: BinaryWriter, field: number, text: string): void {
  writer.tag(field, WireType.LengthDelimited).string(text);
}

function writeMessage(writer: BinaryWriter, field: number, writeFields: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writeFields();
  writer.join();
}
