import { realpath } from "node:fs/promises";
import { toProbestreamError } from "../../errors/plain-error.js";
import { InvalidInputError, type ProbestreamError } from "../../errors/probestream-error.js";
import { isHttpUrl } from "../../weights/http-url.js";
import type { LayerSpec } from "../../weights/layer.js";
import { PEFT_CONFIG_KEY } from "../../weights/lora/lora-scales.js";
import { findLoraPairs } from "../../weights/lora-pairs.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { type ModelFile, type ModelOptions, openModel } from "../../weights/model-file.js";
import { chooseTreeLayers } from "../discovery/choose-tree-layers.js";
import type { SkippedModel } from "../discovery/read-models.js";
import { MAX_SKETCH_BLOCKS } from "../sketches/sketch-edges.js";
import { sketchModel } from "../sketches/sketch-model.js";

/** A model that another one may be a fine-tune of. */
export interface BaseCandidate {
  readonly location: string;
  /**
   * ‖x − y‖² / ((‖x‖² + ‖y‖²) / 2) of the layer: 0 for equal weights, near 2 for weights that have nothing in common, which
   * stand at right angles.
   */
  readonly distance: number;
  /** Whether it is a relative at all: a distance below {@link RELATIVE_DISTANCE}. */
  readonly isRelative: boolean;
}

/** What {@link findBase} found. */
export interface BaseSearch {
  /** What models were compared by. */
  readonly layer: LayerSpec;
  /** Models that have such a layer, the nearest first. */
  readonly candidates: readonly BaseCandidate[];
  /** Models that have no layer of that name and shape. */
  readonly unlike: readonly string[];
  /** Models that could not be read. */
  readonly skipped: readonly SkippedModel[];
}

/** Options of {@link findBase}. */
export interface FindBaseOptions {
  /** Module or tensor to compare by; by default one that makes up most of the model. */
  readonly layer?: string | undefined;
  readonly modelOptions?: ((location: string) => ModelOptions) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears how many models have been compared, how many of them failed, and bytes of their layers. */
  readonly onProgress?: ((models: number, failed: number, bytes: number) => void) | undefined;
}

/** A cosine of one half: by chance that of two layers is around 0, and fine-tunes keep above 0.7. */
export const RELATIVE_DISTANCE = 1;

/** Models read at once. */
const concurrency = 8;

/**
 * Finds which of some models another one is a fine-tune of: the nearest by the weights of one layer that both have under
 * the same name. Look among bases: of 75 full fine-tunes of three trees each found its own among the three of its
 * shapes, at 0.002 to 0.18, the others beyond 1.96. Other fine-tunes that were trained alike often lie nearer than the base itself: with 100 of them
 * beside it, the base was the nearest for 6 of the 75. They are relatives as well, and so name the tree; which of two was
 * made from the other, distances cannot say.
 *
 * Memory: a sketch of each layer at work. The error of a distance is some 2 % of itself, see `Sketch`.
 *
 * @param among models to look in; the model itself is passed over.
 * @throws InvalidInputError `FIELD_INVALID` for a LoRA, which does not hold its base's weights, with what its metadata say;
 * what `chooseTreeLayers`, `sketchModel` and the model's file throw; the signal's reason.
 */
export async function findBase(
  location: string,
  among: readonly string[],
  { layer: wanted, modelOptions, signal, onProgress }: FindBaseOptions = {},
): Promise<BaseSearch> {
  const optionsOf = (model: string): ModelOptions => ({ ...modelOptions?.(model), signal });
  const { layer, values } = await read(location, optionsOf(location), signal, (model) => {
    assertDense(model);
    return chooseTreeLayers(model.tensors, wanted);
  });
  const own = await toKey(location);
  const found: BaseCandidate[] = [];
  const unlike: string[] = [];
  const skipped: SkippedModel[] = [];
  let [done, bytes] = [0, 0];
  await mapConcurrently(among, concurrency, async (other) => {
    signal?.throwIfAborted();
    if ((await toKey(other)) === own) return;
    try {
      const sketch = await read(other, optionsOf(other), signal, () => [layer]);
      bytes += sketch.bytes;
      const distance = toDistance(values, sketch.values);
      found.push({ location: other, distance, isRelative: distance < RELATIVE_DISTANCE });
    } catch (error) {
      signal?.throwIfAborted();
      const plain = toProbestreamError(error);
      if (isUnlike(plain)) unlike.push(other);
      else skipped.push({ location: other, error: plain });
    }
    onProgress?.(++done, skipped.length, bytes);
  });
  const candidates = found.sort((a, b) => a.distance - b.distance || (a.location < b.location ? -1 : 1));
  return { layer, candidates, unlike: unlike.sort(), skipped };
}

async function read(
  location: string,
  options: ModelOptions,
  signal: AbortSignal | undefined,
  choose: (model: ModelFile) => readonly LayerSpec[],
) {
  const model = await openModel(location, options);
  try {
    const [layer] = choose(model);
    if (layer === undefined) throw new InvalidInputError("SHAPE_MISMATCH", `"${model.location}" has no layer.`);
    return { layer, ...(await sketchModel(model, [layer], { blocks: MAX_SKETCH_BLOCKS, signal })) };
  } finally {
    await model.close();
  }
}

function isUnlike({ reason }: ProbestreamError): boolean {
  return reason === "LAYER_NOT_FOUND" || reason === "SHAPE_MISMATCH";
}

function toDistance(a: Float64Array, b: Float64Array): number {
  let [apart, norms] = [0, 0];
  for (let at = 0; at < a.length; at++) {
    const [x, y] = [a[at] as number, b[at] as number];
    apart += (x - y) ** 2;
    norms += x * x + y * y;
  }
  return norms === 0 ? 0 : (2 * apart) / norms;
}

function assertDense({ location, tensors, metadata }: ModelFile): void {
  const { pairs, foreign } = findLoraPairs(tensors);
  if (pairs.length + foreign.length === 0) return;
  const claim = toClaim(metadata);
  const says =
    claim === undefined
      ? "Its metadata name none either"
      : `Its metadata claim ${JSON.stringify(claim)}, which nothing proves`;
  const message = `"${location}" is an adapter: it holds what was added to a base, not the base's weights, so its base cannot be told by them. ${says}. Name a full model.`;
  throw new InvalidInputError("FIELD_INVALID", message, { file: location, ...(claim !== undefined && { claim }) });
}

/** Metadata in which trainers name the base: kohya, the model specification, diffusers. */
const claimKeys = ["ss_sd_model_name", "ss_base_model_version", "modelspec.architecture", "base_model"];

function toClaim(metadata: ReadonlyMap<string, string>): string | undefined {
  const name = /"base_model_name_or_path"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(metadata.get(PEFT_CONFIG_KEY) ?? "")?.[1];
  return name || claimKeys.map((key) => metadata.get(key)).find((text) => text !== undefined && text !== "");
}

async function toKey(location: string): Promise<string> {
  return isHttpUrl(location) ? location : realpath(location).catch(() => location);
}
