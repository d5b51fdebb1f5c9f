import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { InvalidInputError, LimitExceededError, NotFoundError } from "../errors/probestream-error.js";
import type { LayerSpec } from "../weights/layer.js";
import { type ExpertArchitecture, toAccumulatorId } from "./architecture.js";
import {
  type Checkpoint,
  type CheckpointShape,
  describeCheckpoint,
  type Linear,
  type Objective,
  readCheckpoint,
  readCheckpointHead,
  readCheckpointProbes,
} from "./checkpoint.js";
import { type ExpertManifest, maxManifestBytes, parseExpertManifest } from "./expert-manifest.js";
import type { ExpertProbes } from "./expert-probes.js";

/** One expert as a catalogue knows it: everything but the parameters. */
export interface Expert {
  /** Content hash over weights, layer, scale rule and text encoder: 64 lower-case hexadecimal digits. Its identity. */
  readonly spaceId: string;
  /** Name of its folder, for people. */
  readonly name: string;
  readonly folder: string;
  readonly objective: Objective;
  readonly layer: LayerSpec;
  readonly architecture: ExpertArchitecture;
  /** r_T. */
  readonly representationWidth: number;
  /** d_text; 0 for classification experts. */
  readonly textWidth: number;
  /** d_Y; 0 for zero-shot experts. */
  readonly labelCount: number;
  readonly labels: readonly string[];
  /** SHA-256 of the text encoder's ONNX file, or empty. */
  readonly textEncoder: string;
  /** Prompt template with `{}` for the label, or empty. */
  readonly prompt: string;
  /** Bytes of its parameters as float32. */
  readonly parameterBytes: number;
  /** Keys of `expert.json` that are not read here: `tree`, `calibration`, `provenance` and any other. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** An expert with its parameters. */
export interface LoadedExpert {
  readonly expert: Expert;
  readonly checkpoint: Checkpoint;
}

/** File that makes a folder an expert folder. */
export const manifestName = "expert.json";

/**
 * Loads an expert folder: `expert.json` and the state dict it names.
 *
 * Memory: the parameters as float32.
 *
 * @throws NotFoundError `EXPERT_NOT_FOUND` if the folder has no `expert.json`.
 * @throws InvalidInputError if manifest and state dict do not make an expert.
 */
export async function loadExpert(folder: string, signal?: AbortSignal): Promise<LoadedExpert> {
  const manifest = await readExpertManifest(folder);
  const checkpoint = await readCheckpoint(join(folder, manifest.weights), manifest.objective, signal);
  return { expert: toExpert(folder, manifest, checkpoint), checkpoint };
}

/**
 * Reads an expert folder as {@link loadExpert} does, parameters included, and keeps none of these: memory stays at a
 * few MiB, and other callbacks get their turn.
 */
export async function describeExpert(folder: string, signal?: AbortSignal): Promise<Expert> {
  const manifest = await readExpertManifest(folder);
  return toExpert(
    folder,
    manifest,
    await describeCheckpoint(join(folder, manifest.weights), manifest.objective, signal),
  );
}

/**
 * Reads an expert folder as {@link loadExpert} does, parameters included, and keeps its head alone: H with c, or T with c.
 */
export async function loadExpertHead(
  folder: string,
  signal?: AbortSignal,
): Promise<{ readonly expert: Expert; readonly head: Linear }> {
  const manifest = await readExpertManifest(folder);
  const checkpoint = await readCheckpointHead(join(folder, manifest.weights), manifest.objective, signal);
  return { expert: toExpert(folder, manifest, checkpoint), head: checkpoint.head };
}

/**
 * Reads an expert folder as {@link loadExpert} does, parameters included, and keeps what projects a layer: U and V.
 */
export async function loadExpertProbes(folder: string, signal?: AbortSignal): Promise<ExpertProbes> {
  const manifest = await readExpertManifest(folder);
  const checkpoint = await readCheckpointProbes(join(folder, manifest.weights), manifest.objective, signal);
  const { spaceId, name, layer, architecture } = toExpert(folder, manifest, checkpoint);
  const { u, v } = checkpoint;
  const tensors = [
    { name: "u", ...u },
    { name: "v", ...v },
  ];
  return { spaceId, name, layer, accumulator: toAccumulatorId(architecture), tensors };
}

function toExpert(folder: string, manifest: ExpertManifest, checkpoint: CheckpointShape): Expert {
  const { u, v, encoder, head } = checkpoint;
  const { shape } = manifest.layer;
  if (v.columns !== shape.rows || u.rows !== shape.columns) {
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `${join(folder, manifestName)} says shape [${shape.rows}, ${shape.columns}], the weights are for [${v.columns}, ${u.rows}] (columns of shared_probe_proj.weight, rows of probes.weight)`,
    );
  }
  const labelCount = manifest.objective === "classification" ? head.weight.rows : 0;
  if (manifest.objective === "classification" && manifest.labels.length > 0 && manifest.labels.length !== labelCount) {
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `${join(folder, manifestName)} names ${manifest.labels.length} labels, the classification head has ${labelCount}`,
    );
  }
  return {
    spaceId: toSpaceId(manifest, checkpoint.digest),
    name: basename(folder),
    folder,
    objective: manifest.objective,
    layer: manifest.layer,
    architecture: { kind: "probex", probeCount: u.columns, projectionWidth: v.rows },
    representationWidth: encoder.weight.rows,
    textWidth: manifest.objective === "zeroshot" ? head.weight.columns : 0,
    labelCount,
    labels: manifest.labels,
    textEncoder: manifest.text?.encoder ?? "",
    prompt: manifest.text?.prompt ?? "",
    parameterBytes: toParameterBytes(checkpoint),
    extra: manifest.extra,
  };
}

function toParameterBytes({ u, v, encoder, head }: CheckpointShape): number {
  const counts = [u, v, encoder.weight, head.weight].map(({ rows, columns }) => rows * columns);
  const biases = encoder.weight.rows + head.weight.rows;
  return Float32Array.BYTES_PER_ELEMENT * counts.reduce((sum, count) => sum + count, biases);
}

/** Reads the `expert.json` of a folder. */
export async function readExpertManifest(folder: string): Promise<ExpertManifest> {
  const path = join(folder, manifestName);
  const { size } = await stat(path).catch((cause: unknown) => {
    throw new NotFoundError(
      "EXPERT_NOT_FOUND",
      `${folder} is not an expert folder: it has no ${manifestName}`,
      { folder },
      { cause },
    );
  });
  if (size > maxManifestBytes) {
    throw new LimitExceededError(
      "LIMIT_EXCEEDED",
      `${path} has ${size} bytes; an expert manifest may have ${maxManifestBytes}`,
      { size, limit: maxManifestBytes },
    );
  }
  return parseExpertManifest(await readFile(path, "utf8"), path);
}

/** Identity of a space of representations: everything that decides a representation or what it compares with. */
function toSpaceId({ objective, layer, text }: ExpertManifest, digest: Uint8Array): string {
  const { module, kind, layout, loraScale, rows, shape } = layer;
  const parts = [
    "probestream-space/1",
    objective,
    module,
    kind,
    layout,
    rows === undefined ? null : [rows.begin, rows.end],
    kind === "lora" ? loraScale : null,
    [shape.rows, shape.columns],
    text?.encoder ?? null,
    Buffer.from(digest).toString("hex"),
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
