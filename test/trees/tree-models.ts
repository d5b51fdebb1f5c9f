import { Random } from "../../src/linalg/random.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";

/** Width of the models' layers. */
export const modelWidth = 32;

/** Random weights, as a base begins with. */
export function toBase(seed: number): Float32Array {
  return new Random(seed).spread(modelWidth * modelWidth, 1);
}

/** A fine-tune of a base, in full: three square layers and a norm, of which the middle one is the base's with changes. */
export function toFullModel(base: Float32Array, seed: number, change: number): Uint8Array {
  const delta = new Random(seed).spread(base.length, change);
  const moved = base.map((value, at) => value + (delta[at] as number));
  const layer = (name: string, values: Float32Array): TensorData => {
    return { name, dtype: "F32", shape: [modelWidth, modelWidth], bytes: float32Bytes(values) };
  };
  const norm = {
    name: "blocks.0.norm.weight",
    dtype: "F32",
    shape: [modelWidth],
    bytes: new Uint8Array(4 * modelWidth),
  };
  return encodeSafetensors([
    ...[0, 1, 2].map((block) => layer(`blocks.${block}.out.weight`, block === 1 ? moved : delta)),
    norm,
  ]);
}

/**
 * A LoRA on one module: its directions are random, and to some extent the base's own, as gradients are.
 *
 * @param own the base's directions of inputs and outputs, one number per width each.
 */
export function toLoraModel(own: Float32Array, seed: number, rank = 2): Uint8Array {
  const random = new Random(seed);
  const factors = ["down", "up"].map((side, which): TensorData => {
    const values = random.spread(rank * modelWidth, 1);
    // The first direction is the base's, with noise.
    for (let at = 0; at < modelWidth; at++) {
      const place = which === 0 ? at : at * rank;
      values[place] = 2.5 * (own[which * modelWidth + at] as number) + (values[place] as number);
    }
    const shape = which === 0 ? [rank, modelWidth] : [modelWidth, rank];
    return { name: `blocks.1.out.lora.${side}.weight`, dtype: "F32", shape, bytes: float32Bytes(values) };
  });
  return encodeSafetensors(factors);
}
