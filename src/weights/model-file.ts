import { createHash, randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { CorruptDataError } from "../errors/probestream-error.js";
import type { ByteSource, StreamOptions } from "./byte-source.js";
import { openFileSource } from "./file-source.js";
import { type HttpSourceOptions, openHttpSource } from "./http-source.js";
import { isHttpUrl, parseHttpUrl, toDisplayUrl } from "./http-url.js";
import type { TensorInfo } from "./layer.js";
import { mapConcurrently } from "./map-concurrently.js";
import { createContentSource, type ModelContent } from "./model-content.js";
import type { StoredTensor } from "./model-header.js";
import { assertIndexFits, isIndexName, type ModelIndex, readModelIndex } from "./model-index.js";
import { OpenedModel, type Shard } from "./opened-model.js";
import { ADAPTER_CONFIG_NAME, isPeftAdapterName, readAdapterConfig } from "./read-adapter-config.js";
import { readModelHeader } from "./read-model-header.js";
import { SourcePool } from "./source-pool.js";
import { toModelPath } from "./to-model-path.js";

/** One of the files that a model lies in. */
export interface WeightFile {
  /** Length in bytes. */
  readonly size: number;
  /** Those of the model, in the order of their bytes; in a PyTorch checkpoint some may share bytes. */
  readonly tensors: readonly StoredTensor[];
}

/** A model whose headers have been read and whose tensors can be streamed: a file or shards, here, remote or in memory. */
export interface ModelFile {
  /** Path or URL, fit for messages; of a model in memory its name. */
  readonly location: string;
  /** By name, in the order of shards and bytes. Factors of a LoRA have the scale that its configuration gives them. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Metadata of the index and of the files; where both have a key, the first has it. Beside an adapter of PEFT
   * (`adapter_model.safetensors`) its `adapter_config.json` is read as well: it is the text of `peft.adapter_config`.
   */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * SHA-256, hex, of what identifies the content cheaply: path or URL, sizes, times of change or ETags, headers.
   * Equal identities mean the same bytes unless someone changed a file and set its time back. Of a remote file whose
   * server gives neither ETag nor date, and of one in memory, it is another each time: nothing tells whether the bytes are
   * the same.
   */
  readonly identity: string;
  /** Whether it is read over HTTP. */
  readonly remote: boolean;
  /** The file, or the shards in the order of their names; not the index. */
  readonly files: readonly WeightFile[];
  /**
   * Reads bytes `beginByte` to `endByte` of a tensor, counted from its first, piece by piece.
   *
   * @throws NotFoundError `LAYER_NOT_FOUND`, InvalidInputError `FIELD_INVALID` for a range outside the tensor,
   * CorruptDataError `CORRUPT` if the file has changed, and what its source throws.
   */
  streamTensor(name: string, beginByte: number, endByte: number, options?: StreamOptions): AsyncIterable<Uint8Array>;
  /**
   * Reads one of {@link files} whole, headers and all.
   *
   * @throws NotFoundError `FILE_NOT_FOUND` for a number that there is no file of; otherwise as {@link streamTensor}.
   */
  streamFile(index: number, options?: StreamOptions): AsyncIterable<Uint8Array>;
  /** Closes the files; streams that still run fail. */
  close(): Promise<void>;
}

/** Options of {@link openModel}: those of remote files. */
export type ModelOptions = HttpSourceOptions;

/** 4: headers read at once on opening a model of many shards, few enough to stay clear of a hub's rate limits. */
const HEADERS_AT_ONCE = 4;

/**
 * Opens a model and reads its headers, no weights. The location is a path or URL of a `.safetensors` file, of a
 * PyTorch checkpoint, or of an index of shards (`….index.json`), or a folder that holds exactly one safetensors model;
 * or the model is in memory.
 *
 * Memory: the headers; at most 16 files are open at once.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for other formats and for a pickle that asks for code, `HEADER_MALFORMED`, or `FIELD_INVALID` for a
 * folder with several models; for an adapter's configuration what `withLoraScales` throws; CorruptDataError `CORRUPT` for shards that do not fit their index; NotFoundError,
 * AccessDeniedError and UnavailableError as from `openFileSource` and `openHttpSource`.
 */
export async function openModel(location: string | ModelContent, options: ModelOptions = {}): Promise<ModelFile> {
  if (typeof location !== "string") return openContent(location, options.signal);
  const remote = isHttpUrl(location);
  const root = remote ? location : await toModelPath(location);
  const shown = remote ? toDisplayUrl(parseHttpUrl(location).url) : root;
  const fingerprints = new Map<string, string>();
  let isIdentified = true;
  const pool = new SourcePool(async (shard, signal) => {
    const source = await openSource(shard, { ...options, signal });
    isIdentified &&= source.isIdentified;
    return assertUnchanged(source, shard, fingerprints);
  });
  try {
    const index = isIndexName(shown) ? await readIndex(root, options) : undefined;
    const locations = index?.shards.map((shard) => besides(root, shard)) ?? [root];
    const shards = await mapConcurrently(locations, HEADERS_AT_ONCE, async (shard): Promise<Shard> => {
      const source = await pool.acquire(shard, options.signal);
      try {
        return { location: shard, size: source.size, header: await readModelHeader(source, options.signal) };
      } finally {
        pool.release(shard);
      }
    });
    if (index !== undefined) assertShardsFit(index, shards, shown);
    const config = isPeftAdapterName(shown)
      ? await readAdapterConfig(() => openSource(besides(root, ADAPTER_CONFIG_NAME), options), options.signal)
      : undefined;
    const digests = shards.map(({ location: shard, header }) => [fingerprints.get(shard), header.digest]);
    const told = [digests, isIdentified ? "" : randomUUID(), ...(config === undefined ? [] : [config])];
    const identity = createHash("sha256").update(JSON.stringify(told)).digest("hex");
    return new OpenedModel({ location: shown, remote, identity, pool, index, shards, config });
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function openContent(content: ModelContent, signal: AbortSignal | undefined): Promise<ModelFile> {
  const source = createContentSource(content);
  const shards = [{ location: source.name, size: source.size, header: await readModelHeader(source, signal) }];
  const pool = new SourcePool(async () => source);
  const identity = createHash("sha256").update(source.fingerprint).digest("hex");
  const { name } = source;
  return new OpenedModel({
    location: name,
    remote: false,
    identity,
    pool,
    index: undefined,
    shards,
    config: undefined,
  });
}

function openSource(location: string, options: ModelOptions): Promise<ByteSource> {
  return isHttpUrl(location) ? openHttpSource(location, options) : openFileSource(location);
}

/** A shard that was closed in between must be the same when it is opened again. */
async function assertUnchanged(
  source: ByteSource,
  location: string,
  fingerprints: Map<string, string>,
): Promise<ByteSource> {
  const known = fingerprints.get(location) ?? source.fingerprint;
  fingerprints.set(location, known);
  if (known === source.fingerprint) return source;
  await source.close();
  const message = `"${source.name}" has changed since the model was opened. Open the model again.`;
  throw new CorruptDataError("CORRUPT", message, { file: source.name });
}

async function readIndex(location: string, options: ModelOptions): Promise<ModelIndex> {
  const source = await openSource(location, options);
  try {
    return await readModelIndex(source, options.signal);
  } finally {
    await source.close();
  }
}

/** Where a shard lies: beside its index. Shard names are checked to be plain names, but may look like URLs. */
function besides(index: string, shard: string): string {
  if (!isHttpUrl(index)) return join(dirname(index), shard);
  const url = new URL(index);
  url.pathname = url.pathname.replace(/[^/]*$/, encodeURIComponent(shard));
  return url.href;
}

function assertShardsFit(index: ModelIndex, shards: readonly Shard[], name: string): void {
  const tensorsOf = new Map(
    index.shards.map((shard, i) => [shard, shards[i]?.header.tensors.map((tensor) => tensor.name) ?? []]),
  );
  assertIndexFits(index, tensorsOf, name);
}
