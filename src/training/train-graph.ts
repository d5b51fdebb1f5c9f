import { InternalError } from "../errors/probestream-error.js";
import type { Graph } from "../onnx/graph.js";
import { GraphBuilder, type Real, type Value } from "../onnx/graph-builder.js";
import { logitScaleName, type TrainShape, toParameterShapes } from "./train-shape.js";

/** Prefix of the outputs that are gradients; the parameter's name follows. */
export const gradientPrefix = "gradient.";

/** Keeps a division by a norm of 0 finite: PyTorch's `normalize` takes norms below 1e-12 for that. */
const leastSquaredNorm = 1e-24;

/**
 * The graph of one training step without the update: from parameters, layers, texts and targets to the mean loss of the
 * batch and its gradient by every parameter.
 *
 * Inputs, besides the parameters by their names: dense layers `X` [n·d_H, d_W], or factors `down` (A) [n·rank, d_W] and
 * `up` (Bᵀ) [n·rank, d_H]: layers X = B·A are never multiplied out. `targets` [n, labels]: shares of each label that add
 * up to 1 (zero-shot), or 0 and 1 (classification). `texts` [labels, d_text] for zero-shot. Outputs: `loss` [1, 1] and
 * `gradient.NAME`.
 *
 * Zero-shot: cross-entropy over raw cosines between representations and the images H·t + c of all texts (times a learned
 * scale, if the shape asks for one). Classification:
 * binary cross-entropy with logits, its mean over batch and labels.
 *
 * @see Horwitz et al., CVPR 2025, https://arxiv.org/abs/2410.13569
 */
export function createTrainGraph(shape: TrainShape, batchSize: number, type: Real = "float32"): Graph {
  const builder = new GraphBuilder(type);
  const parameters = declareParameters(builder, shape);
  const representation = encode(builder, shape, parameters, batchSize);
  const targets = builder.input("targets", [batchSize, shape.labels]);
  const scores = toScores(builder, shape, parameters, representation);
  const toLoss = shape.objective === "zeroshot" ? crossEntropy : binaryCrossEntropy;
  const scale = parameters.get(logitScaleName);
  const logits = scale === undefined ? scores : builder.multiply(scores, builder.exp(scale));
  const loss = toLoss(builder, logits, targets);
  builder.output("loss", loss);
  const names = [...parameters.keys()];
  const gradients = builder.gradients(loss, [...parameters.values()]);
  for (const [index, gradient] of gradients.entries()) builder.output(`${gradientPrefix}${names[index]}`, gradient);
  return builder.toGraph("train");
}

/**
 * The graph from layers to what an expert says of them; inputs as those of {@link createTrainGraph}, without targets.
 * Outputs: `representation` [n, r_T], and `scores` [n, labels]: cosines with the texts' images, or logits.
 */
export function createScoreGraph(shape: TrainShape, batchSize: number): Graph {
  const builder = new GraphBuilder();
  const parameters = declareParameters(builder, shape);
  const representation = encode(builder, shape, parameters, batchSize);
  builder.output("representation", representation);
  builder.output("scores", toScores(builder, shape, parameters, representation));
  return builder.toGraph("score");
}

type Parameters = ReadonlyMap<string, Value>;

function declareParameters(builder: GraphBuilder, shape: TrainShape): Parameters {
  return new Map([...toParameterShapes(shape)].map(([name, extents]) => [name, builder.input(name, extents)]));
}

function take(parameters: Parameters, name: string): Value {
  const value = parameters.get(name);
  if (value === undefined) throw new InternalError("INTERNAL", `there is no parameter ${name}`);
  return value;
}

/** e = M·ReLU(V·X·U) + b; the responses probe-major, index u·r_V + v. */
function encode(builder: GraphBuilder, shape: TrainShape, parameters: Parameters, batchSize: number): Value {
  const { layer, probes, projection } = shape;
  const u = take(parameters, "probes.weight");
  const v = take(parameters, "shared_probe_proj.weight");
  let responses: Value;
  if (layer.rank === undefined) {
    const x = builder.input("X", [batchSize * layer.rows, layer.columns]);
    const xu = builder.reshape(builder.gemm(x, u), [batchSize, layer.rows, probes]);
    const turned = builder.reshape(builder.transpose(xu, [0, 2, 1]), [batchSize * probes, layer.rows]);
    responses = builder.gemm(turned, v, { b: true });
  } else {
    const { rank, rows, columns } = layer;
    const au = builder.gemm(builder.input("down", [batchSize * rank, columns]), u);
    const vb = builder.gemm(builder.input("up", [batchSize * rank, rows]), v, { b: true });
    responses = builder.batchMatmul(
      builder.transpose(builder.reshape(au, [batchSize, rank, probes]), [0, 2, 1]),
      builder.reshape(vb, [batchSize, rank, projection]),
    );
  }
  const hidden = builder.relu(builder.reshape(responses, [batchSize, probes * projection]));
  const encoded = builder.gemm(hidden, take(parameters, "per_probe_encoders.weight"), { b: true });
  return builder.add(encoded, take(parameters, "per_probe_encoders.bias"));
}

function toScores(builder: GraphBuilder, shape: TrainShape, parameters: Parameters, representation: Value): Value {
  return shape.objective === "zeroshot"
    ? toCosines(builder, shape, parameters, representation)
    : toLogits(builder, parameters, representation);
}

function toCosines(builder: GraphBuilder, shape: TrainShape, parameters: Parameters, representation: Value): Value {
  const texts = builder.input("texts", [shape.labels, shape.textWidth ?? 0]);
  const mapped = builder.gemm(texts, take(parameters, "regression_head.weight"), { b: true });
  const images = builder.add(mapped, take(parameters, "regression_head.bias"));
  return builder.gemm(normalize(builder, representation), normalize(builder, images), { b: true });
}

function normalize(builder: GraphBuilder, x: Value): Value {
  const squares = builder.sum(builder.multiply(x, x), [1]);
  return builder.divide(x, builder.sqrt(builder.add(squares, builder.scalar(leastSquaredNorm))));
}

function toLogits(builder: GraphBuilder, parameters: Parameters, representation: Value): Value {
  const mapped = builder.gemm(representation, take(parameters, "classification_head.weight"), { b: true });
  return builder.add(mapped, take(parameters, "classification_head.bias"));
}

function crossEntropy(builder: GraphBuilder, logits: Value, targets: Value): Value {
  const [batchSize = 1] = targets.shape;
  const taken = builder.sum(builder.multiply(targets, builder.logSoftmax(logits)), [0, 1]);
  return builder.multiply(taken, builder.scalar(-1 / batchSize));
}

/** Mean of ln(1 + exp(x)) − y·x over all logits x with target y. */
function binaryCrossEntropy(builder: GraphBuilder, logits: Value, targets: Value): Value {
  const [batchSize = 1, labels = 1] = targets.shape;
  const losses = builder.subtract(builder.softplus(logits), builder.multiply(targets, logits));
  return builder.multiply(builder.sum(losses, [0, 1]), builder.scalar(1 / (batchSize * labels)));
}
