import type { BigIntStats } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { CorruptDataError, InvalidInputError } from "../errors/probestream-error.js";
import { assertRange, type ByteSource, makeNewBuffer, type StreamOptions, toChunkBytes } from "./byte-source.js";
import { toFileError } from "./to-file-error.js";

/** Bytes of one read call: the system takes at most 2³¹ − 1, and a signal is looked at between calls. */
const MAX_READ_BYTES = 268_435_456;

/**
 * Opens a local file for reading in any order. Memory: none besides what is read; one file descriptor.
 *
 * @throws NotFoundError `FILE_NOT_FOUND`, AccessDeniedError `ACCESS_DENIED`, InvalidInputError `FIELD_INVALID` for a
 * folder or a device; later, from its reads, CorruptDataError `CORRUPT` if the file has become
 * shorter or was written to.
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  // Asked before opening, for opening a named pipe waits until someone writes to it.
  assertFile(await stat(path).catch((cause: unknown) => Promise.reject(toFileError(cause, path))), path);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    const stats = await handle.stat({ bigint: true });
    const fingerprint = JSON.stringify([resolve(path), String(stats.size), String(stats.mtimeNs)]);
    return new OpenedFile(handle, path, stats, fingerprint);
  } catch (cause) {
    await handle?.close();
    throw toFileError(cause, path);
  }
}

class OpenedFile implements ByteSource {
  readonly #handle: FileHandle;
  readonly #mtimeNs: bigint;
  readonly name: string;
  readonly size: number;
  readonly fingerprint: string;
  readonly isIdentified = true;

  constructor(handle: FileHandle, name: string, stats: BigIntStats, fingerprint: string) {
    this.#handle = handle;
    this.#mtimeNs = stats.mtimeNs;
    this.name = name;
    this.size = Number(stats.size);
    this.fingerprint = fingerprint;
  }

  async read(begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    assertRange(begin, end, this.size, `"${this.name}"`);
    const bytes = new Uint8Array(end - begin);
    await this.#fill(bytes, begin, signal);
    return bytes;
  }

  async *stream(begin: number, end: number, options?: StreamOptions): AsyncGenerator<Uint8Array, void, undefined> {
    assertRange(begin, end, this.size, `"${this.name}"`);
    const chunkBytes = toChunkBytes(options);
    const makeBuffer = options?.makeBuffer ?? makeNewBuffer;
    for (let at = begin; at < end; at += chunkBytes) {
      options?.signal?.throwIfAborted();
      const piece = makeBuffer(Math.min(end - at, chunkBytes));
      await this.#fill(piece, at, options?.signal);
      yield piece;
    }
    await this.#assertUnchanged();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Reads as many bytes as the buffer has, from `begin` on. */
  async #fill(bytes: Uint8Array, begin: number, signal: AbortSignal | undefined): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      signal?.throwIfAborted();
      const length = Math.min(MAX_READ_BYTES, bytes.length - done);
      const { bytesRead } = await this.#handle
        .read(bytes, done, length, begin + done)
        .catch((cause: unknown) => Promise.reject(toFileError(cause, this.name)));
      if (bytesRead === 0) throw this.#shrunk(begin + done);
      done += bytesRead;
    }
  }

  /** A checkpoint that is overwritten in place while it is streamed would be half of each state. */
  async #assertUnchanged(): Promise<void> {
    const { mtimeNs } = await this.#handle.stat({ bigint: true });
    if (mtimeNs === this.#mtimeNs) return;
    const message = `"${this.name}" was written to while it was being read. Read it again once nothing writes to it.`;
    throw new CorruptDataError("CORRUPT", message, { path: this.name });
  }

  #shrunk(at: number): CorruptDataError {
    const message = `"${this.name}" ends at byte ${at} but had ${this.size} bytes when it was opened: it was changed while being read. Read it again once nothing writes to it.`;
    return new CorruptDataError("CORRUPT", message, { path: this.name, end: at, size: this.size });
  }
}

function assertFile(stats: { isFile(): boolean; isDirectory(): boolean }, path: string): void {
  if (stats.isFile()) return;
  const what = stats.isDirectory() ? "a folder; name a file in it" : "a device, pipe or socket; name a regular file";
  throw new InvalidInputError("FIELD_INVALID", `"${path}" is ${what}.`, { path });
}
