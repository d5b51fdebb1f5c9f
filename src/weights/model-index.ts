import { CorruptDataError, InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import type { ByteSource } from "./byte-source.js";
import { type JsonObject, type JsonValue, parseJson } from "./json-reader.js";
import { quoteName } from "./quote-name.js";

/** What a `model.safetensors.index.json` says: which shard each tensor lies in. */
export interface ModelIndex {
  /** Shard file names, sorted; they lie beside the index. */
  readonly shards: readonly string[];
  /** Shard by tensor name. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** `metadata`, numbers as text; `total_size` is the usual one. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** How the name of an index ends. */
export const INDEX_SUFFIX = ".safetensors.index.json";

/** 64 MiB: some 600,000 tensors, at about 100 bytes each; the largest mixtures of experts have around 100,000. */
export const MAX_INDEX_BYTES = 67_108_864;

/** Shards of a model at most; models published so far have fewer than 300. */
export const MAX_SHARDS = 2048;

/** Characters of a shard's name at most: what file systems allow. */
const MAX_SHARD_NAME_CHARACTERS = 255;

/** Whether a path or URL without a query names an index. */
export function isIndexName(name: string): boolean {
  return name.endsWith(".index.json");
}

/**
 * Reads an index whole and parses it.
 *
 * @throws LimitExceededError `LIMIT_EXCEEDED` beyond {@link MAX_INDEX_BYTES}, before anything is read; and as
 * {@link parseModelIndex}.
 */
export async function readModelIndex(source: ByteSource, signal?: AbortSignal): Promise<ModelIndex> {
  if (source.size > MAX_INDEX_BYTES) {
    const message = `The index "${source.name}" has ${source.size} bytes; at most ${MAX_INDEX_BYTES} are allowed.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { fileSize: source.size, maxBytes: MAX_INDEX_BYTES });
  }
  return parseModelIndex(await source.read(0, source.size, signal), source.name);
}

/**
 * Parses an index, which may come from a stranger. Shard names are plain file names: none leads out of the folder.
 *
 * @throws InvalidInputError `HEADER_MALFORMED`.
 * @throws LimitExceededError `LIMIT_EXCEEDED` for more than {@link MAX_SHARDS} shards.
 */
export function parseModelIndex(bytes: Uint8Array, name: string): ModelIndex {
  const subject = `The index "${name}"`;
  const root = asObject(parseJson(decode(bytes, subject), subject, { maxDepth: 8, maxArrayItems: 65_536 }), subject);
  const weightMap = new Map<string, string>();
  const shards = new Set<string>();
  for (const [tensor, shard] of asObject(root.get("weight_map"), `weight_map of the index "${name}"`)) {
    if (typeof shard !== "string") throw malformed(`${subject} names no file for tensor ${quoteName(tensor)}.`);
    if (!shards.has(shard)) assertShardName(shard, subject);
    shards.add(shard);
    weightMap.set(tensor, shard);
  }
  if (shards.size > MAX_SHARDS) {
    const message = `${subject} has ${shards.size} shards; at most ${MAX_SHARDS} are allowed.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { shards: shards.size, maxShards: MAX_SHARDS });
  }
  return { shards: [...shards].sort(), weightMap, metadata: toMetadata(root.get("metadata")) };
}

/**
 * Holds an index against its shards: every tensor must be in the shard that the index names, and in no other.
 *
 * @param tensorsOf Tensor names of each shard.
 * @throws CorruptDataError `CORRUPT`, naming tensor and shard.
 */
export function assertIndexFits(
  index: ModelIndex,
  tensorsOf: ReadonlyMap<string, Iterable<string>>,
  name: string,
): void {
  const home = new Map<string, string>();
  for (const [shard, tensors] of tensorsOf) {
    for (const tensor of tensors) {
      const other = home.get(tensor);
      if (other !== undefined) {
        throw corrupt(
          `Tensor ${quoteName(tensor)} is in two shards, ${quoteName(other)} and ${quoteName(shard)}`,
          name,
        );
      }
      home.set(tensor, shard);
    }
  }
  for (const [tensor, shard] of index.weightMap) {
    if (home.get(tensor) !== shard) throw corrupt(`Tensor ${quoteName(tensor)} is not in ${quoteName(shard)}`, name);
  }
}

function assertShardName(shard: string, subject: string): void {
  const plain = shard !== "" && shard !== "." && shard !== ".." && !/[/\\\0]/.test(shard) && !/^[A-Za-z]:/.test(shard);
  if (plain && shard.length <= MAX_SHARD_NAME_CHARACTERS) return;
  throw malformed(`${subject} names the shard ${quoteName(shard)}; it must be the name of a file beside the index.`);
}

function toMetadata(value: JsonValue | undefined): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (!(value instanceof Map)) return metadata;
  for (const [key, item] of value) {
    if (typeof item === "string" || typeof item === "number") metadata.set(key, String(item));
  }
  return metadata;
}

function decode(bytes: Uint8Array, subject: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidInputError("HEADER_MALFORMED", `${subject} is not UTF-8; the file is damaged.`, {}, { cause });
  }
}

function asObject(value: JsonValue | undefined, subject: string): JsonObject {
  if (value instanceof Map) return value;
  throw malformed(`${subject} is no JSON object; a model index has one.`);
}

function malformed(message: string): InvalidInputError {
  return new InvalidInputError("HEADER_MALFORMED", message);
}

function corrupt(what: string, name: string): CorruptDataError {
  const message = `${what}, against what the index "${name}" says. The files belong to different models or are damaged: download them again.`;
  return new CorruptDataError("CORRUPT", message, { index: name });
}
