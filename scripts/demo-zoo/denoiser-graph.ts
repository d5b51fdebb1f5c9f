import type { GraphBuilder, Value } from "../../src/onnx/graph-builder.js";
import { pictureNumbers, side } from "./draw-picture.js";

/** Sizes of a denoiser: a transformer over patches of pictures. */
export interface DenoiserShape {
  /** Width of a token. */
  readonly width: number;
  /** Width inside the perceptrons. */
  readonly hidden: number;
  readonly blocks: number;
}

/** Pixels of a patch's side. */
const patchSide = 4;
/** Patches of a picture: tokens. */
export const tokens = (side / patchSide) ** 2;
/** Numbers of a patch. */
export const patchNumbers = pictureNumbers / tokens;
/** What a token begins as: the noisy patch, and how noisy it is. */
export const tokenNumbers = patchNumbers + 1;

/** The attention's layers, by the names that they have everywhere. */
export const projections = ["to_q", "to_k", "to_v", "to_out"] as const;

/** Tensors of a denoiser by name, with their extents: layers are [out, in]. */
export function toDenoiserShapes({ width, hidden, blocks }: DenoiserShape): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([
    ["denoiser.embed.weight", [width, tokenNumbers]],
    ["denoiser.position.weight", [tokens, width]],
  ]);
  for (let block = 0; block < blocks; block++) {
    for (const projection of projections) shapes.set(`${toAttention(block)}.${projection}.weight`, [width, width]);
    shapes.set(`denoiser.blocks.${block}.mlp.up.weight`, [hidden, width]);
    shapes.set(`denoiser.blocks.${block}.mlp.down.weight`, [width, hidden]);
  }
  return shapes.set("denoiser.head.weight", [patchNumbers, width]);
}

/** Where the attention of a block stands. */
export function toAttention(block: number): string {
  return `denoiser.blocks.${block}.attn`;
}

/** Multiplies tokens, n × in, by a layer of this name: y = x·Wᵀ. */
export type Apply = (name: string, x: Value) => Value;

/**
 * Takes noisy pictures to clean ones: attention over patches, with one head, and perceptrons, each on normalised tokens.
 *
 * @param input pictures·tokens × `tokenNumbers`.
 * @param position tokens × width.
 * @returns pictures·tokens × `patchNumbers`.
 */
export function buildDenoiser(
  builder: GraphBuilder,
  { width, blocks }: DenoiserShape,
  pictures: number,
  input: Value,
  position: Value,
  apply: Apply,
): Value {
  const rows = pictures * tokens;
  const split = (x: Value): Value => builder.reshape(x, [pictures, tokens, width]);
  const join = (x: Value): Value => builder.reshape(x, [rows, width]);
  let x = join(builder.add(split(apply("denoiser.embed", input)), position));
  for (let block = 0; block < blocks; block++) {
    const attention = toAttention(block);
    const normal = normalise(builder, x, width);
    const [q, k, v] = (["to_q", "to_k", "to_v"] as const).map((name) => split(apply(`${attention}.${name}`, normal)));
    const scores = builder.batchMatmul(q as Value, builder.transpose(k as Value, [0, 2, 1]));
    const shares = builder.exp(builder.logSoftmax(builder.multiply(scores, builder.scalar(1 / Math.sqrt(width)))));
    x = builder.add(x, apply(`${attention}.to_out`, join(builder.batchMatmul(shares, v as Value))));
    const hidden = builder.relu(apply(`denoiser.blocks.${block}.mlp.up`, normalise(builder, x, width)));
    x = builder.add(x, apply(`denoiser.blocks.${block}.mlp.down`, hidden));
  }
  return apply("denoiser.head", normalise(builder, x, width));
}

/** Tokens with a mean square of 1. */
function normalise(builder: GraphBuilder, x: Value, width: number): Value {
  const squares = builder.multiply(builder.sum(builder.multiply(x, x), [1]), builder.scalar(1 / width));
  return builder.divide(x, builder.sqrt(builder.add(squares, builder.scalar(1e-5))));
}

/** Mean squared error of each picture's patches, summed over models of `pictures / models` pictures. */
export function buildLoss(builder: GraphBuilder, found: Value, wanted: Value, models: number): Value {
  const error = builder.subtract(found, wanted);
  const count = (found.shape[0] ?? 1) * patchNumbers;
  return builder.multiply(builder.sum(builder.multiply(error, error), [0, 1]), builder.scalar(models / count));
}
