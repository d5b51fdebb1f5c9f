import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { ExpertManifest } from "../experts/expert-manifest.js";
import { expertFormat } from "../experts/expert-manifest.js";
import { makeFolder } from "../system/make-folder.js";
import { encodeSafetensors, float32Bytes } from "../weights/safetensors-writer.js";
import { toWriteError } from "./to-write-error.js";
import type { ParameterShapes } from "./train-shape.js";

/** What an expert folder is to hold. */
export interface ExpertContent {
  /** Without the name of the file of weights, which is `expert.safetensors`. */
  readonly manifest: Omit<ExpertManifest, "weights">;
  readonly shapes: ParameterShapes;
  /** By name, the authors' names. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

const weightsName = "expert.safetensors";

/**
 * Writes an expert folder, which appears with everything in it or not at all.
 *
 * @param folder must not exist.
 * @throws InvalidInputError `FIELD_INVALID` if the folder exists or a parameter is missing; UnavailableError
 * `SOURCE_UNAVAILABLE` if it cannot be written.
 */
export async function writeExpert(folder: string, { manifest, shapes, parameters }: ExpertContent): Promise<void> {
  const tensors = [...shapes].map(([name, shape]) => {
    const values = parameters.get(name);
    if (values === undefined) throw new InvalidInputError("FIELD_INVALID", `the expert has no parameter ${name}`);
    return { name, dtype: "F32", shape, bytes: float32Bytes(values) };
  });
  // In the same folder, so that it can be renamed; hidden, so that no catalogue takes it for an expert.
  const parent = dirname(folder);
  const unfinished = join(parent, `.${basename(folder)}-${randomUUID()}`);
  try {
    await makeFolder(parent);
    await mkdir(unfinished);
    // On the disk before it has its name: a power cut must not leave an expert of nothing.
    await writeFile(join(unfinished, weightsName), encodeSafetensors(tensors), { flush: true });
    await writeFile(join(unfinished, "expert.json"), `${JSON.stringify(toJson(manifest), undefined, 2)}\n`, {
      flush: true,
    });
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {});
    throw toWriteError(error, folder);
  }
}

function toJson({ objective, layer, text, labels, extra }: ExpertContent["manifest"]): Record<string, unknown> {
  const { module, kind, layout, loraScale, rows, shape } = layer;
  return {
    format: expertFormat,
    objective,
    weights: weightsName,
    layer: { module, kind, layout, loraScale, ...(rows !== undefined && { rows: [rows.begin, rows.end] }) },
    shape: [shape.rows, shape.columns],
    ...(text !== undefined && { text }),
    labels,
    ...extra,
  };
}
