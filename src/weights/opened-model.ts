import { NotFoundError } from "../errors/probestream-error.js";
import { assertRange, type StreamOptions } from "./byte-source.js";
import type { TensorInfo } from "./layer.js";
import { PEFT_CONFIG_KEY, withLoraScales } from "./lora/lora-scales.js";
import type { ModelFile, WeightFile } from "./model-file.js";
import type { ModelHeader, StoredTensor } from "./model-header.js";
import type { ModelIndex } from "./model-index.js";
import { quoteName } from "./quote-name.js";
import type { SourcePool } from "./source-pool.js";

/** A file of an opened model. */
export interface Shard {
  readonly location: string;
  readonly size: number;
  readonly header: ModelHeader;
}

/** What an opened model is made of. */
export interface OpenedParts {
  readonly location: string;
  readonly remote: boolean;
  readonly identity: string;
  readonly pool: SourcePool;
  readonly index: ModelIndex | undefined;
  readonly shards: readonly Shard[];
  /** Text of the adapter's configuration. */
  readonly config: string | undefined;
}

/** A model whose headers have been read. */
export class OpenedModel implements ModelFile {
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
