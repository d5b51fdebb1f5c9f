import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { toWireMetadata } from "../../../src/rpc/convert/model-record.js";
import { toModelId as toPlaceId } from "../../../src/search/plan-request.js";
import type { Scalar } from "../../../src/vectors/filter.js";
import type { IndexFacts } from "../../../src/vectors/index-facts.js";
import type { ModelContent } from "../../../src/weights/model-content.js";
import type { ModelFile } from "../../../src/weights/model-file.js";
import { assertOptions } from "./assert-options.js";
import { type Tensors, toTensorData } from "./tensors.js";

/** What is to be known of a model in the catalogue. */
export interface Index {
  /** What you say of the model: texts, finite numbers, booleans. */
  readonly metadata?: Readonly<Record<string, Scalar>> | undefined;
  /** The base model, if you know it; absent: what the file says. */
  readonly base?: string | undefined;
  /** SHA-256 of the whole file in lower-case hexadecimal, if you computed it. */
  readonly fileHash?: string | undefined;
  /** A space that is new waits until it is switched to. */
  readonly fill?: boolean | undefined;
}

/** Where a model's weights lie. */
export type ModelSource =
  /** A safetensors file, an index of shards, or a folder with one of them. PyTorch checkpoints need the package yauzl. */
  | { readonly path: string }
  /** The same over HTTP; only the wanted ranges are fetched. */
  | { readonly url: string | URL }
  /** The bytes of a safetensors file. */
  | { readonly bytes: Uint8Array }
  /** Arrays by name, and what a file would say of itself beside them. */
  | { readonly arrays: Tensors; readonly metadata?: Readonly<Record<string, string>> | undefined };

/** A model: a path or URL, the bytes of a safetensors file, or a source with a name of your own. */
export type Model =
  | string
  | URL
  | Uint8Array
  | (ModelSource & {
      /** Your name for it, also in the catalogue. Default its path or URL as given, of a long one the end: 200 characters. */
      readonly id?: string | undefined;
      /** In place of the call's `index`; true for no facts of its own. */
      readonly index?: Index | boolean | undefined;
    });

/** A model as it is opened. */
export interface GivenModel {
  readonly source: string | ModelContent;
  readonly id: string | undefined;
  readonly index: Index | boolean | undefined;
}

/**
 * What a model stands for.
 *
 * @param place From 0, for the name of one in memory that has none.
 * @throws InvalidInputError `FIELD_INVALID` for what is no model.
 */
export function toGivenModel(model: Model, place: number): GivenModel {
  if (typeof model === "string") return { source: model, id: undefined, index: undefined };
  if (model instanceof URL) return { source: model.href, id: undefined, index: undefined };
  if (model instanceof Uint8Array) {
    return { source: { name: `model ${place} in memory`, bytes: model }, id: undefined, index: undefined };
  }
  if (typeof model !== "object" || model === null) throw noModel(model === null ? "null" : typeof model);
  const { id, index } = model;
  return { source: toSource(model, id ?? `model ${place} in memory`), id, index };
}

function toSource(model: ModelSource, name: string): string | ModelContent {
  if ("path" in model && typeof model.path === "string") return model.path;
  if ("url" in model && model.url !== undefined) return String(model.url);
  if ("bytes" in model && model.bytes instanceof Uint8Array) return { name, bytes: model.bytes };
  if ("arrays" in model && model.arrays !== undefined) {
    return { name, tensors: toTensorData(model.arrays), metadata: model.metadata };
  }
  throw noModel(`an object with ${Object.keys(model).join(", ") || "nothing"}`);
}

function noModel(given: string): InvalidInputError {
  const message = `a model is given as ${given}; give a path or URL, bytes (a Uint8Array), or an object with path, url, bytes or arrays`;
  return new InvalidInputError("FIELD_INVALID", message);
}

/** What a model is called where it has no name of its own: the end of its location. */
export function toModelId({ id }: GivenModel, location: string): string {
  return id ?? toPlaceId(location);
}

/** What the catalogue is told of a model; undefined if nothing. */
export function toIndexFacts(
  given: GivenModel,
  file: ModelFile,
  usual: Index | boolean | undefined,
): IndexFacts | undefined {
  const index = given.index ?? usual ?? false;
  if (index === false) return undefined;
  assertIndex(index);
  const { metadata, base, fileHash, fill } = index === true ? {} : index;
  return {
    modelId: toModelId(given, file.location),
    claims: Object.fromEntries(file.metadata),
    ...(metadata !== undefined && { metadata }),
    ...(base !== undefined && { base }),
    ...(fileHash !== undefined && { fileHash }),
    ...(fill !== undefined && { fill }),
  };
}

/**
 * Asserts that the catalogue can be told so.
 *
 * @throws InvalidInputError `FIELD_INVALID` for fields that an index does not have, and for metadata that is none.
 */
export function assertIndex(index: Index | boolean | undefined): void {
  if (index === undefined || typeof index === "boolean") return;
  const id = "the model's own name goes beside its source: { path, id }";
  assertOptions(index, ["metadata", "base", "fileHash", "fill"], "index", { modelId: id, id });
  toWireMetadata(index.metadata ?? {});
}
