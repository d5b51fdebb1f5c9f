import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../src/linalg/random.js";
import { encodeSafetensors, type TensorData } from "../src/weights/safetensors-writer.js";

/** Size and kind of a made-up expert. */
export interface ExpertFixture {
  /** Module path of its layer. Default `layer`. */
  readonly module?: string;
  /** Default `dense`. */
  readonly kind?: "dense" | "lora";
  /** d_H, rows of X. */
  readonly rows: number;
  /** d_W, columns of X. */
  readonly columns: number;
  /** r_U. Default 128. */
  readonly probes?: number;
  /** r_V. Default 128. */
  readonly projection?: number;
  /** r_T. Default 128. */
  readonly representation?: number;
  /** Zero-shot with a text head so wide, or classification with so many labels. Default zero-shot, 64. */
  readonly head?: { readonly textWidth: number } | { readonly labelCount: number };
  /** Default 0. */
  readonly seed?: number;
}

/** Number and shape of made-up LoRA models. */
export interface LoraFixture {
  readonly count: number;
  /** Module path of the layer. */
  readonly module: string;
  readonly rows: number;
  readonly columns: number;
  readonly rank: number;
  /** Default 0. */
  readonly seed?: number;
}

/** Runs something with a temporary folder, which is removed afterwards. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-bench-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Writes an expert folder: random parameters under the authors' names, scaled so that representations of weights
 * around 0.02 stay near 1.
 *
 * Memory: about three times the file, 4·(r_V·d_H + d_W·r_U + r_T·r_U·r_V) bytes.
 */
export async function writeExpert(folder: string, fixture: ExpertFixture): Promise<void> {
  const { module = "layer", kind = "dense", rows, columns, seed = 0 } = fixture;
  const { probes = 128, projection = 128, representation = 128, head = { textWidth: 64 } } = fixture;
  const random = new Random(seed);
  const tensor = (name: string, shape: readonly number[], deviation: number): TensorData => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    return { name, dtype: "F32", shape, bytes: toBytes(random.spread(count, deviation)) };
  };
  const width = probes * projection;
  const isZeroshot = "textWidth" in head;
  const [headName, headShape] = isZeroshot
    ? ["regression_head", [representation, head.textWidth] as const]
    : ["classification_head", [head.labelCount, representation] as const];
  const tensors = [
    tensor("probes.weight", [columns, probes], 1 / Math.sqrt(columns)),
    tensor("shared_probe_proj.weight", [projection, rows], 1 / Math.sqrt(rows)),
    tensor("per_probe_encoders.weight", [representation, width], 50 / Math.sqrt(width)),
    tensor("per_probe_encoders.bias", [representation], 0.1),
    tensor(`${headName}.weight`, headShape, 1 / Math.sqrt(headShape[1])),
    tensor(`${headName}.bias`, [headShape[0]], 0.1),
  ];
  const manifest = {
    format: "probestream-expert/1",
    objective: isZeroshot ? "zeroshot" : "classification",
    weights: "expert.safetensors",
    layer: { module, kind, layout: "linear", loraScale: "none" },
    shape: [rows, columns],
    labels: isZeroshot ? [] : Array.from({ length: head.labelCount }, (_, index) => `label ${index}`),
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "expert.safetensors"), encodeSafetensors(tensors));
  await writeFile(join(folder, "expert.json"), JSON.stringify(manifest, undefined, 1));
}

/** Writes small LoRA models, one folder each as diffusers does, with the layer's two factors in float32. */
export async function writeLoraModels(folder: string, fixture: LoraFixture): Promise<void> {
  const { count, module, rows, columns, rank, seed = 0 } = fixture;
  const random = new Random(seed);
  for (let index = 0; index < count; index++) {
    const factor = (side: "down" | "up", shape: readonly [number, number]): TensorData => ({
      name: `${module}.lora.${side}.weight`,
      dtype: "F32",
      shape,
      bytes: toBytes(random.spread(shape[0] * shape[1], 0.05)),
    });
    const file = encodeSafetensors([factor("down", [rank, columns]), factor("up", [rows, rank])]);
    const model = join(folder, `model_${String(index).padStart(6, "0")}`);
    await mkdir(model, { recursive: true });
    await writeFile(join(model, "pytorch_lora_weights.safetensors"), file);
  }
}

/** The numbers' own memory; little-endian on every platform that Node supports. */
function toBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Writes a model of one F32 layer of zeros, rows × columns, that takes no room on disk. */
export async function writeSparseModel(path: string, module: string, rows: number, columns: number): Promise<void> {
  const bytes = 4 * rows * columns;
  const entry = { dtype: "F32", shape: [rows, columns], data_offsets: [0, bytes] };
  const text = Buffer.from(JSON.stringify({ [`${module}.weight`]: entry }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const file = await open(path, "w");
  try {
    await file.write(Buffer.concat([size, text]));
    await file.truncate(8 + text.length + bytes);
  } finally {
    await file.close();
  }
}
