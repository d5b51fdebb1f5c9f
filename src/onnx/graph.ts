import { concatenate, fields, type Parts } from "./fields.js";

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

/** Numbers of attribute types (AttributeProto.AttributeType). */
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

/**
 * Encodes a graph as an ONNX model, the bytes that a runtime loads. Messages and numbers of fields are those of
 * `proto/onnx/onnx.proto`.
 *
 * Memory: the constants once more.
 *
 * @see https://onnx.ai/onnx/repo-docs/IR.html
 */
export function encodeGraph(graph: Graph): Uint8Array {
  const opset = [...fields.text(1, ""), fields.whole(2, opsetVersion)];
  const body = [
    ...graph.nodes.flatMap((node) => fields.nested(1, toNode(node))),
    ...fields.text(2, graph.name),
    ...graph.constants.flatMap((constant) => fields.nested(5, toTensor(constant))),
    ...graph.inputs.flatMap((input) => fields.nested(11, toValueInfo(input))),
    ...graph.outputs.flatMap((output) => fields.nested(12, toValueInfo(output))),
  ];
  return concatenate([
    fields.whole(1, irVersion),
    ...fields.text(2, "probestream"),
    ...fields.nested(7, body),
    ...fields.nested(8, opset),
  ]);
}

/** A TensorProto; its last part is a view of the constant's numbers. */
function toTensor({ name, shape, values }: GraphConstant): Parts {
  return [
    ...shape.map((extent) => fields.whole(1, extent)),
    fields.whole(2, elementTypes[toElementType(values)]),
    ...fields.text(8, name),
    ...fields.nested(9, [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]),
  ];
}

function toElementType(values: GraphConstant["values"]): ElementType {
  if (values instanceof Float32Array) return "float32";
  return values instanceof Float64Array ? "float64" : "int64";
}

/** A NodeProto. */
function toNode({ op, inputs, outputs, attributes = {} }: GraphNode): Parts {
  return [
    ...inputs.flatMap((input) => fields.text(1, input)),
    ...outputs.flatMap((output) => fields.text(2, output)),
    ...fields.text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => fields.nested(5, toAttribute(name, value))),
  ];
}

/** An AttributeProto. */
function toAttribute(name: string, value: GraphAttribute): Parts {
  const head = fields.text(1, name);
  if ("int" in value) return [...head, fields.whole(3, value.int), fields.whole(20, attributeTypes.int)];
  if ("float" in value) return [...head, ...fields.real(2, value.float), fields.whole(20, attributeTypes.float)];
  return [...head, ...value.ints.map((int) => fields.whole(8, int)), fields.whole(20, attributeTypes.ints)];
}

/** A ValueInfoProto, its TypeProto and its TensorShapeProto. */
function toValueInfo({ name, type, shape }: GraphValue): Parts {
  const extents = shape.flatMap((extent) =>
    fields.nested(1, typeof extent === "number" ? [fields.whole(1, extent)] : fields.text(2, extent)),
  );
  const tensor = [fields.whole(1, elementTypes[type]), ...fields.nested(2, extents)];
  return [...fields.text(1, name), ...fields.nested(2, fields.nested(1, tensor))];
}
