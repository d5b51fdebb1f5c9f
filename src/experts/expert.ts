import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { InvalidInputError, LimitExceededError, NotFoundError } from "../errors/probestream-error.js";
import type { LayerSpec } from "../weights/layer.js";
import type { ExpertArchitecture } from "./architecture.js";
import { type Checkpoint, type Objective, readCheckpoint } from "./checkpoint.js";
import { type ExpertManifest, maxManifestBytes, parseExpertManifest } from "./expert-manifest.js";

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
 * Memory: the parameters as float32, and the file once more while it is read.
 *
 * @throws NotFoundError `EXPERT_NOT_FOUND` if the folder has no `expert.json`.
 * @throws InvalidInputError if manifest and state dict do not make an expert.
 */
export async function loadExpert(folder: string, signal?: AbortSignal): Promise<LoadedExpert> {
  const manifest = await readExpertManifest(folder);
  const path = join(folder, manifest.weights);
  const checkpoint = await readCheckpoint(path, manifest.objective, signal);
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
  const matrices = [u.values, v.values, encoder.weight.values, encoder.bias, head.weight.values, head.bias];
  const expert: Expert = {
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
    parameterBytes: matrices.reduce((sum, values) => sum + values.byteLength, 0),
  };
  return { expert, checkpoint };
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
