import { InternalError } from "../errors/probestream-error.js";
import type { Graph, GraphAttribute, GraphConstant, GraphNode, GraphValue } from "./graph.js";

/** Element type of a builder's numbers: float64 is for checks of gradients. */
export type Real = "float32" | "float64";

/** A value of the graph that is being built. Its extents are known. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Gives the gradients of a node's inputs, in their order, from that of its output. */
type Backward = (gradient: Value) => readonly Value[];

interface Step {
  readonly inputs: readonly Value[];
  readonly output: Value;
  readonly backward: Backward;
}

/**
 * Builds a graph of ONNX operators node by node and differentiates it: {@link gradients} appends the nodes of the reverse
 * mode, so that one `run` computes a loss and all its gradients. Extents are fixed; element-wise operators spread
 * extents of 1, and leading ones that are missing, as NumPy does.
 */
export class GraphBuilder {
  readonly #inputs: GraphValue[] = [];
  readonly #outputs: GraphValue[] = [];
  readonly #constants: GraphConstant[] = [];
  readonly #nodes: GraphNode[] = [];
  readonly #steps: Step[] = [];
  readonly #type: Real;
  #serial = 0;

  constructor(type: Real = "float32") {
    this.#type = type;
  }

  /** The graph built so far. */
  toGraph(name: string): Graph {
    return { name, inputs: this.#inputs, outputs: this.#outputs, constants: this.#constants, nodes: this.#nodes };
  }

  /** Declares an input of the graph. */
  input(name: string, shape: readonly number[]): Value {
    this.#inputs.push({ name, type: this.#type, shape });
    return { name, shape };
  }

  /** Gives a value the name of an output of the graph. */
  output(name: string, value: Value): void {
    this.#nodes.push({ op: "Identity", inputs: [value.name], outputs: [name] });
    this.#outputs.push({ name, type: this.#type, shape: value.shape });
  }

  /** A number that is the same in all runs. */
  scalar(number: number): Value {
    const values = this.#type === "float32" ? Float32Array.of(number) : Float64Array.of(number);
    const name = this.#next();
    this.#constants.push({ name, shape: [], values });
    return { name, shape: [] };
  }

  /** a·b of matrices, either of them turned over first; as in {@link https://onnx.ai/onnx/operators/onnx__Gemm.html}. */
  gemm(a: Value, b: Value, turned: { readonly a?: boolean; readonly b?: boolean } = {}): Value {
    const { a: turnA = false, b: turnB = false } = turned;
    const [rows, inner] = turnA ? [a.shape[1], a.shape[0]] : a.shape;
    const [otherInner, columns] = turnB ? [b.shape[1], b.shape[0]] : b.shape;
    if (inner !== otherInner) throw mismatch("gemm", a, b);
    const attributes = { transA: { int: Number(turnA) }, transB: { int: Number(turnB) } };
    const output = this.#node("Gemm", [a, b], [extent(rows), extent(columns)], attributes);
    return this.#record([a, b], output, (gradient) => [
      turnA ? this.gemm(b, gradient, { a: turnB, b: true }) : this.gemm(gradient, b, { b: !turnB }),
      turnB ? this.gemm(gradient, a, { a: true, b: turnA }) : this.gemm(a, gradient, { a: !turnA }),
    ]);
  }

  /** a·b of each pair of matrices in two stacks: n × p × q by n × q × s. */
  batchMatmul(a: Value, b: Value): Value {
    const [count, rows, inner] = a.shape;
    const [otherCount, otherInner, columns] = b.shape;
    if (count !== otherCount || inner !== otherInner) throw mismatch("batchMatmul", a, b);
    const output = this.#node("MatMul", [a, b], [extent(count), extent(rows), extent(columns)]);
    return this.#record([a, b], output, (gradient) => [
      this.batchMatmul(gradient, this.transpose(b, [0, 2, 1])),
      this.batchMatmul(this.transpose(a, [0, 2, 1]), gradient),
    ]);
  }

  /** Axes in another order: axis i of the result is axis `order[i]`. */
  transpose(x: Value, order: readonly number[]): Value {
    const shape = order.map((axis) => extent(x.shape[axis]));
    const output = this.#node("Transpose", [x], shape, { perm: { ints: order } });
    const back = order.map((_, axis) => order.indexOf(axis));
    return this.#record([x], output, (gradient) => [this.transpose(gradient, back)]);
  }

  /** The same numbers under other extents. */
  reshape(x: Value, shape: readonly number[]): Value {
    const output = this.#node("Reshape", [x, this.#integers(shape)], shape);
    return this.#record([x], output, (gradient) => [this.reshape(gradient, x.shape)]);
  }

  add(a: Value, b: Value): Value {
    const output = this.#node("Add", [a, b], broadcast(a, b));
    return this.#record([a, b], output, (gradient) => [this.#shrink(gradient, a), this.#shrink(gradient, b)]);
  }

  subtract(a: Value, b: Value): Value {
    const output = this.#node("Sub", [a, b], broadcast(a, b));
    return this.#record([a, b], output, (gradient) => [
      this.#shrink(gradient, a),
      this.#shrink(this.negate(gradient), b),
    ]);
  }

  multiply(a: Value, b: Value): Value {
    const output = this.#node("Mul", [a, b], broadcast(a, b));
    return this.#record([a, b], output, (gradient) => [
      this.#shrink(this.multiply(gradient, b), a),
      this.#shrink(this.multiply(gradient, a), b),
    ]);
  }

  divide(a: Value, b: Value): Value {
    const output = this.#node("Div", [a, b], broadcast(a, b));
    return this.#record([a, b], output, (gradient) => {
      const share = this.divide(gradient, b);
      return [this.#shrink(share, a), this.#shrink(this.negate(this.multiply(share, output)), b)];
    });
  }

  negate(x: Value): Value {
    const output = this.#node("Neg", [x], x.shape);
    return this.#record([x], output, (gradient) => [this.negate(gradient)]);
  }

  exp(x: Value): Value {
    const output = this.#node("Exp", [x], x.shape);
    return this.#record([x], output, (gradient) => [this.multiply(gradient, output)]);
  }

  sqrt(x: Value): Value {
    const output = this.#node("Sqrt", [x], x.shape);
    return this.#record([x], output, (gradient) => [this.divide(this.multiply(gradient, this.scalar(0.5)), output)]);
  }

  /** max(x, 0); its slope at 0 is 0. */
  relu(x: Value): Value {
    const output = this.#node("Relu", [x], x.shape);
    return this.#record([x], output, (gradient) => [this.multiply(gradient, this.#isPositive(output))]);
  }

  /** ln(1 + exp(x)), without overflow: max(x, 0) + ln(1 + exp(−|x|)). */
  softplus(x: Value): Value {
    const decayed = this.#node("Exp", [this.#node("Neg", [this.#node("Abs", [x], x.shape)], x.shape)], x.shape);
    const tail = this.#node("Log", [this.#node("Add", [decayed, this.scalar(1)], x.shape)], x.shape);
    const output = this.#node("Add", [this.#node("Relu", [x], x.shape), tail], x.shape);
    return this.#record([x], output, (gradient) => [this.multiply(gradient, this.#node("Sigmoid", [x], x.shape))]);
  }

  /** ln softmax over the last axis. */
  logSoftmax(x: Value): Value {
    const output = this.#node("LogSoftmax", [x], x.shape, { axis: { int: -1 } });
    return this.#record([x], output, (gradient) => {
      const total = this.sum(gradient, [x.shape.length - 1]);
      return [this.subtract(gradient, this.multiply(this.#node("Exp", [output], x.shape), total))];
    });
  }

  /** Sums over axes, which stay with an extent of 1. */
  sum(x: Value, axes: readonly number[]): Value {
    const shape = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const output = this.#node("ReduceSum", [x, this.#integers(axes)], shape);
    return this.#record([x], output, (gradient) => [
      this.#node("Expand", [gradient, this.#integers(x.shape)], x.shape),
    ]);
  }

  /**
   * Appends the gradients of a loss of one number by each of the values, which keep their order and shapes. What the loss
   * does not depend on has none.
   *
   * @throws InternalError for a value that the loss does not depend on, or a loss of several numbers.
   */
  gradients(loss: Value, by: readonly Value[]): Value[] {
    if (loss.shape.some((size) => size !== 1)) throw new InternalError("INTERNAL", "a loss is one number");
    const found = new Map<string, Value>();
    const ones = this.#node("Expand", [this.scalar(1), this.#integers(loss.shape)], loss.shape);
    found.set(loss.name, ones);
    // What the steps append is not differentiated again.
    const steps = this.#steps.splice(0);
    for (const { inputs, output, backward } of [...steps].reverse()) {
      const gradient = found.get(output.name);
      if (gradient === undefined) continue;
      for (const [index, share] of backward(gradient).entries()) {
        const { name } = inputs[index] as Value;
        const sum = found.get(name);
        found.set(name, sum === undefined ? share : this.add(sum, share));
      }
    }
    this.#steps.splice(0, this.#steps.length, ...steps);
    return by.map(({ name }) => {
      const gradient = found.get(name);
      if (gradient === undefined) throw new InternalError("INTERNAL", `the loss does not depend on ${name}`);
      return gradient;
    });
  }

  #node(
    op: string,
    inputs: readonly Value[],
    shape: readonly number[],
    attributes?: Readonly<Record<string, GraphAttribute>>,
  ): Value {
    const name = this.#next();
    const node = { op, inputs: inputs.map((input) => input.name), outputs: [name] };
    this.#nodes.push(attributes === undefined ? node : { ...node, attributes });
    return { name, shape };
  }

  #record(inputs: readonly Value[], output: Value, backward: Backward): Value {
    this.#steps.push({ inputs, output, backward });
    return output;
  }

  /**
   * 1 where a number that is not negative is above 0. HardSigmoid, cut off from α·x, is spread over the threads, which Sign
   * is not (0.5 instead of 2.5 ms for 2 million numbers), but there is none for float64. Only below 1e-38 it is less than 1.
   */
  #isPositive(x: Value): Value {
    if (this.#type === "float64") return this.#node("Sign", [x], x.shape);
    return this.#node("HardSigmoid", [x], x.shape, { alpha: { float: 1e38 }, beta: { float: 0 } });
  }

  /** Sums a gradient over the axes along which a value was spread. */
  #shrink(gradient: Value, { shape }: Value): Value {
    const missing = gradient.shape.length - shape.length;
    const axes = gradient.shape.flatMap((size, axis) =>
      axis < missing || (shape[axis - missing] === 1 && size !== 1) ? [axis] : [],
    );
    if (axes.length === 0) return gradient;
    return this.reshape(this.sum(gradient, axes), shape);
  }

  #integers(numbers: readonly number[]): Value {
    const name = this.#next();
    this.#constants.push({ name, shape: [numbers.length], values: BigInt64Array.from(numbers, BigInt) });
    return { name, shape: [numbers.length] };
  }

  #next(): string {
    return `v${this.#serial++}`;
  }
}

function extent(size: number | undefined): number {
  if (size === undefined) throw new InternalError("INTERNAL", "an operator met a value with too few axes");
  return size;
}

function broadcast(a: Value, b: Value): number[] {
  const length = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length }, (_, axis) => {
    const [sizeA, sizeB] = [a, b].map(({ shape }) => shape[axis - length + shape.length] ?? 1) as [number, number];
    if (sizeA !== sizeB && sizeA !== 1 && sizeB !== 1) throw mismatch("an element-wise operator", a, b);
    return Math.max(sizeA, sizeB);
  });
}

function mismatch(what: string, a: Value, b: Value): InternalError {
  return new InternalError("INTERNAL", `${what} met ${a.shape.join(" × ")} and ${b.shape.join(" × ")}`);
}
