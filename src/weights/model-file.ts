import { createHash, randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { CorruptDataError, NotFoundError } from "../errors/probestream-error.js";
import { assertRange, type ByteSource, type StreamOptions } from "./byte-source.js";
import { openFileSource } from "./file-source.js";
import { type HttpSourceOptions, openHttpSource } from "./http-source.js";
import { isHttpUrl, parseHttpUrl, toDisplayUrl } from "./http-url.js";
import type { TensorInfo } from "./layer.js";
import { PEFT_CONFIG_KEY, withLoraScales } from "./lora/lora-scales.js";
import { mapConcurrently } from "./map-concurrently.js";
import type { ModelHeader, StoredTensor } from "./model-header.js";
import { assertIndexFits, isIndexName, type ModelIndex, readModelIndex } from "./model-index.js";
import { quoteName } from "./quote-name.js";
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

/** A model whose headers have been read and whose tensors can be streamed, in one file or in shards, here or remote. */
export interface ModelFile {
  /** Path or URL, fit for messages. */
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
   * server gives neither ETag nor date it is another each time: nothing tells whether the bytes are the same.
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
 * PyTorch checkpoint, or of an index of shards (`….index.json`), or a folder that holds exactly one safetensors model.
 *
 * Memory: the headers; at most 16 files are open at once.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for other formats and for a pickle that asks for code, `HEADER_MALFORMED`, or `FIELD_INVALID` for a
 * folder with several models; for an adapter's configuration what `withLoraScales` throws; CorruptDataError `CORRUPT` for shards that do not fit their index; NotFoundError,
 * AccessDeniedError and UnavailableError as from `openFileSource` and `openHttpSource`.
 */
export async function openModel(location: string, options: ModelOptions = {}): Promise<ModelFile> {
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

interface Shard {
  readonly location: string;
  readonly size: number;
  readonly header: ModelHeader;
}

interface OpenedParts {
  readonly location: string;
  readonly remote: boolean;
  readonly identity: string;
  readonly pool: SourcePool;
  readonly index: ModelIndex | undefined;
  readonly shards: readonly Shard[];
  /** Text of the adapter's configuration. */
  readonly config: string | undefined;
}

class OpenedModel implements ModelFile {
  readonly location: string;
  readonly remote: boolean;
  readonly identity: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly files: readonly WeightFile[];
  readonly #pool: SourcePool;
  readonly #shards: readonly Shard[];
  readonly #places: ReadonlyMap<string, { readonly shard: string; readonly tensor: StoredTensor }>;

  constructor({ location, remote, identity, pool, index, shards, config }: OpenedParts) {
    this.location = location;
    this.remote = remote;
    this.identity = identity;
    this.#pool = pool;
    // Tensors that an index leaves out are not part of the model.
    this.files = shards.map(({ size, header }) => {
      return { size, tensors: header.tensors.filter(({ name }) => index === undefined || index.weightMap.has(name)) };
    });
    this.#shards = shards;
    const places = shards.flatMap(({ location: shard }, at) =>
      (this.files[at]?.tensors ?? []).map((tensor) => [tensor.name, { shard, tensor }] as const),
    );
    this.#places = new Map(places);
    const metadata = new Map(index?.metadata);
    if (config !== undefined) metadata.set(PEFT_CONFIG_KEY, config);
    for (const { header } of shards) {
      for (const [key, value] of header.metadata) if (!metadata.has(key)) metadata.set(key, value);
    }
    this.metadata = metadata;
    const tensors = places.map(
      ([name, { tensor }]) => [name, { name, dtype: tensor.dtype, shape: tensor.shape }] as const,
    );
    this.tensors = withLoraScales(new Map(tensors), metadata);
  }

  async *streamTensor(
    name: string,
    beginByte: number,
    endByte: number,
    options?: StreamOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const place = this.#places.get(name);
    if (place === undefined) {
      const message = `"${this.location}" has no tensor ${quoteName(name)}; take a name that it has.`;
      throw new NotFoundError("LAYER_NOT_FOUND", message, { tensor: name });
    }
    const { shard, tensor } = place;
    assertRange(beginByte, endByte, tensor.end - tensor.begin, `tensor ${quoteName(name)} of "${this.location}"`);
    const source = await this.#pool.acquire(shard, options?.signal);
    try {
      yield* source.stream(tensor.begin + beginByte, tensor.begin + endByte, options);
    } finally {
      this.#pool.release(shard);
    }
  }

  async *streamFile(index: number, options?: StreamOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const shard = this.#shards[index];
    if (shard === undefined) {
      const message = `"${this.location}" lies in ${this.#shards.length} files; there is none of number ${index}.`;
      throw new NotFoundError("FILE_NOT_FOUND", message, { index });
    }
    const source = await this.#pool.acquire(shard.location, options?.signal);
    try {
      yield* source.stream(0, source.size, options);
    } finally {
      this.#pool.release(shard.location);
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }
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
