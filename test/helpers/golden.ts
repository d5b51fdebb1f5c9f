import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Matrix } from "../../src/compute/compute-backend.js";
import type { Objective } from "../../src/experts/checkpoint.js";
import type { LayerSpec } from "../../src/weights/layer.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { encodeSafetensors, type TensorData } from "../../src/weights/safetensors-writer.js";
import { encoderDigest } from "./expert-folder.js";

/** What the authors' modules gave for one model; classification cases record logits only. */
export interface GoldenFigures {
  readonly representation: Float32Array | undefined;
  /** Cosine with each text, or a logit per label. */
  readonly logits: Float32Array;
}

/** One recorded case: an expert, models, texts, and what is to come out. */
export interface GoldenCase {
  readonly name: string;
  readonly objective: Objective;
  readonly layer: LayerSpec;
  readonly stateDict: readonly TensorData[];
  /** A model each: its tensors, as a file would have them. */
  readonly models: readonly (readonly TensorData[])[];
  /** Text vectors to compare with; undefined for classification. */
  readonly texts: Matrix | undefined;
  readonly expected: readonly GoldenFigures[];
}

/** Names of all inference cases. */
export const goldenNames = [
  "zeroshot_tiny",
  "zeroshot_square",
  "zeroshot_tall",
  "zeroshot_wide",
  "zeroshot_lora",
  "classification",
  "classification_conv",
  "classification_bias",
] as const;

/** Name of an inference case. */
export type GoldenName = (typeof goldenNames)[number];

/** Compiled tests lie in dist/test, the files do not. */
const folder = new URL("../../../test/fixtures/golden/", import.meta.url);

const module = "lm.layer";

/** Reads a recorded case. */
export async function readGoldenCase(name: GoldenName): Promise<GoldenCase> {
  const { tensors, metadata } = await readTensors(fileURLToPath(new URL(`${name}.safetensors`, folder)));
  const take = (key: string): TensorData => {
    const tensor = tensors.get(key);
    if (tensor === undefined) throw new Error(`${name} has no tensor ${key}`);
    return tensor;
  };
  const objective: Objective = metadata.get("kind") === "zeroshot" ? "zeroshot" : "classification";
  const stateDict = [...tensors.values()].filter(({ name: key }) => /^(probes|shared_|per_probe|.*_head\.)/.test(key));
  const logits = toRows(tensors.get("expected.logits_f64") ?? take("expected.logits"));
  const representation = tensors.get("expected.representation");
  const representations = representation === undefined ? [] : toRows(representation);
  const text = tensors.get("text");
  const [rows = 0] = take("shared_probe_proj.weight").shape.slice(1);
  const [columns = 0] = take("probes.weight").shape;
  return {
    name,
    objective,
    layer: { module, loraScale: "none", shape: { rows, columns }, ...layoutOf(tensors) },
    stateDict,
    models: toModels(tensors, take),
    texts: text && { rows: text.shape[0] ?? 0, columns: text.shape[1] ?? 0, values: toFloats(text.bytes) },
    expected: logits.map((row, i) => ({ logits: row, representation: representations[i] })),
  };
}

/** Writes the case's expert folder below `root` and gives its path. */
export async function writeGoldenExpert(
  { name, objective, layer, stateDict }: GoldenCase,
  root: string,
): Promise<string> {
  const path = join(root, name);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "expert.safetensors"), encodeSafetensors(stateDict));
  const { shape, ...spec } = layer;
  const manifest = {
    format: "probestream-expert/1",
    objective,
    weights: "expert.safetensors",
    layer: spec,
    shape: [shape.rows, shape.columns],
    text: objective === "zeroshot" ? { encoder: encoderDigest(name), prompt: "{}" } : undefined,
  };
  await writeFile(join(path, "expert.json"), JSON.stringify(manifest));
  return path;
}

/** Writes the case's models as files into `path` and gives their paths, in order. */
export async function writeGoldenModels({ name, models }: GoldenCase, path: string): Promise<string[]> {
  await mkdir(path, { recursive: true });
  return Promise.all(
    models.map(async (tensors, i) => {
      const file = join(path, `${name}-${i}.safetensors`);
      await writeFile(file, encodeSafetensors(tensors));
      return file;
    }),
  );
}

function layoutOf(tensors: ReadonlyMap<string, TensorData>): Pick<LayerSpec, "kind" | "layout"> {
  if (tensors.has("lora.up")) return { kind: "lora", layout: "linear" };
  if (tensors.has("conv")) return { kind: "dense", layout: "conv" };
  return { kind: "dense", layout: tensors.has("bias") ? "vector" : "linear" };
}

function toModels(tensors: ReadonlyMap<string, TensorData>, take: (key: string) => TensorData): TensorData[][] {
  // Other tensors of a model are there to be passed over.
  const other = { name: "lm.other.weight", dtype: "F32", shape: [3], bytes: new Uint8Array(12) };
  if (tensors.has("lora.up")) {
    const ups = split(take("lora.up"), `${module}.lora.up.weight`);
    return split(take("lora.down"), `${module}.lora.down.weight`).map((down, i) => [other, down, ups[i] ?? other]);
  }
  const whole = tensors.get("conv") ?? tensors.get("bias");
  if (whole !== undefined) return [[other, { ...whole, name: `${module}.weight` }]];
  return split(take("x"), `${module}.weight`).map((weight) => [other, weight]);
}

/** The slices of a tensor along its first dimension, as tensors. */
function split({ dtype, shape: [count = 0, ...shape], bytes }: TensorData, name: string): TensorData[] {
  const length = bytes.length / count;
  return Array.from({ length: count }, (_, i) => ({
    name,
    dtype,
    shape,
    bytes: bytes.slice(i * length, (i + 1) * length),
  }));
}

function toRows(tensor: TensorData): Float32Array[] {
  return split(tensor, "").map(({ bytes }) => toFloats(bytes));
}

function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
