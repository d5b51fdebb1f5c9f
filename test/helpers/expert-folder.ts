import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Matrix } from "../../src/compute/compute-backend.js";
import type { Objective } from "../../src/experts/checkpoint.js";
import { expertFormat } from "../../src/experts/expert-manifest.js";
import type { LayerSpec } from "../../src/weights/layer.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { randomMatrix, randomValues } from "./random.js";

/** A linear map with its bias. */
export interface ExpertLinear {
  readonly weight: Matrix;
  readonly bias: Float32Array;
}

/** An expert's parameters, before they are written. */
export interface ExpertParameters {
  readonly objective: Objective;
  readonly u: Matrix;
  readonly v: Matrix;
  readonly encoder: ExpertLinear;
  readonly head: ExpertLinear;
}

/** Sizes of a seeded expert; all have small defaults. */
export interface ExpertSizes {
  readonly objective?: Objective;
  readonly rows: number;
  readonly columns: number;
  readonly probeCount?: number;
  readonly projectionWidth?: number;
  readonly representationWidth?: number;
  /** d_text or d_Y. */
  readonly headWidth?: number;
  readonly seed?: number;
}

/** A seeded expert for layers of `rows` × `columns`. */
export function createExpertParameters(sizes: ExpertSizes): ExpertParameters {
  const { objective = "zeroshot", rows, columns, seed = 1 } = sizes;
  const { probeCount = 4, projectionWidth = 3, representationWidth = 6, headWidth = 5 } = sizes;
  const [outputs, inputs] =
    objective === "zeroshot" ? [representationWidth, headWidth] : [headWidth, representationWidth];
  return {
    objective,
    u: randomMatrix(columns, probeCount, seed),
    v: randomMatrix(projectionWidth, rows, seed + 1),
    encoder: {
      weight: randomMatrix(representationWidth, probeCount * projectionWidth, seed + 2),
      bias: randomValues(representationWidth, seed + 3),
    },
    head: { weight: randomMatrix(outputs, inputs, seed + 4), bias: randomValues(outputs, seed + 5) },
  };
}

/** A matrix as an F32 tensor. */
export function toTensor(name: string, { rows, columns, values }: Matrix): TensorData {
  return { name, dtype: "F32", shape: [rows, columns], bytes: float32Bytes(values) };
}

/** Numbers as an F32 tensor of one dimension. */
export function toVector(name: string, values: Float32Array): TensorData {
  return { name, dtype: "F32", shape: [values.length], bytes: float32Bytes(values) };
}

/** The state dict under the authors' names. */
export function toStateDict({ objective, u, v, encoder, head }: ExpertParameters): TensorData[] {
  const headName = objective === "zeroshot" ? "regression_head" : "classification_head";
  return [
    toTensor("probes.weight", u),
    toTensor("shared_probe_proj.weight", v),
    toTensor("per_probe_encoders.weight", encoder.weight),
    toVector("per_probe_encoders.bias", encoder.bias),
    toTensor(`${headName}.weight`, head.weight),
    toVector(`${headName}.bias`, head.bias),
  ];
}

/** Text of an `expert.json` for these parameters; `manifest` adds or replaces keys, `layer` those of its layer. */
export function toManifestText(
  { objective, u, v }: ExpertParameters,
  layer: Partial<Omit<LayerSpec, "rows" | "shape">> & { readonly rows?: readonly [number, number] } = {},
  manifest: Readonly<Record<string, unknown>> = {},
): string {
  const spec = { module: "m.fc", kind: "dense", layout: "linear", loraScale: "none", ...layer };
  const shape = [v.columns, u.rows];
  return JSON.stringify({
    format: expertFormat,
    objective,
    weights: "expert.safetensors",
    layer: spec,
    shape,
    labels: [],
    ...manifest,
  });
}

/** Writes an expert folder and gives its path. */
export async function writeExpert(
  folder: string,
  parameters: ExpertParameters,
  layer: Parameters<typeof toManifestText>[1] = {},
  manifest: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "expert.safetensors"), encodeSafetensors(toStateDict(parameters)));
  await writeFile(join(folder, "expert.json"), toManifestText(parameters, layer, manifest));
  return folder;
}

/** A text encoder's digest, as a manifest names it. */
export function encoderDigest(word: string): string {
  return createHash("sha256").update(word).digest("hex");
}
