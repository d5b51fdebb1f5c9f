import { LimitExceededError } from "../errors/probestream-error.js";
import type { ByteSource } from "./byte-source.js";

/**
 * Sources open at once in one model: 16. A model has up to a few hundred shards, a process often only 1,024 file
 * descriptors, and a server reads many models.
 */
export const MAX_OPEN_SOURCES = 16;

interface PooledSource {
  readonly source: Promise<ByteSource>;
  userCount: number;
}

/** Opens sources when they are needed and closes the one longest unused when there are too many. */
export class SourcePool {
  readonly #open: (location: string, signal: AbortSignal | undefined) => Promise<ByteSource>;
  readonly #maxOpen: number;
  /** In the order of last use, for maps keep the order of insertion. */
  readonly #pooled = new Map<string, PooledSource>();

  constructor(
    open: (location: string, signal: AbortSignal | undefined) => Promise<ByteSource>,
    maxOpen = MAX_OPEN_SOURCES,
  ) {
    this.#open = open;
    this.#maxOpen = maxOpen;
  }

  /**
   * Takes a source for use; {@link release} must follow.
   *
   * @throws LimitExceededError `LIMIT_EXCEEDED` if all sources are in use: waiting could be waiting for oneself.
   */
  async acquire(location: string, signal?: AbortSignal): Promise<ByteSource> {
    let pooled = this.#pooled.get(location);
    if (pooled === undefined) {
      const evicted = this.#makeRoom();
      pooled = { source: evicted.then(() => this.#open(location, signal)), userCount: 0 };
    }
    pooled.userCount++;
    this.#pooled.delete(location);
    this.#pooled.set(location, pooled);
    try {
      return await pooled.source;
    } catch (error) {
      if (this.#pooled.get(location) === pooled) this.#pooled.delete(location);
      throw error;
    }
  }

  /** Ends a use begun with {@link acquire}; the source stays open for the next. */
  release(location: string): void {
    const pooled = this.#pooled.get(location);
    if (pooled !== undefined) pooled.userCount--;
  }

  /** Closes all sources, in use or not. */
  async close(): Promise<void> {
    const all = [...this.#pooled.values()];
    this.#pooled.clear();
    await Promise.all(all.map(closePooled));
  }

  /** Takes the source longest unused out at once, so that no one else counts on it, and closes it. */
  #makeRoom(): Promise<void> {
    if (this.#pooled.size < this.#maxOpen) return Promise.resolve();
    for (const [location, pooled] of this.#pooled) {
      if (pooled.userCount > 0) continue;
      this.#pooled.delete(location);
      return closePooled(pooled);
    }
    const message = `${this.#maxOpen} shards of one model are being read at once, and no more are allowed; finish one first.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { maxOpen: this.#maxOpen });
  }
}

async function closePooled(pooled: PooledSource): Promise<void> {
  const source = await pooled.source.catch(() => undefined);
  await source?.close();
}
