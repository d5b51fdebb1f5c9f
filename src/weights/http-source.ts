import { createHash } from "node:crypto";
import { InvalidInputError } from "../errors/probestream-error.js";
import { assertRange, type ByteSource, makeNewBuffer, type StreamOptions, toChunkBytes } from "./byte-source.js";
import { type DownloadOptions, HttpDownloader } from "./http-downloader.js";
import { HttpFile } from "./http-file.js";
import type { Fetch } from "./http-request.js";
import { parseHttpUrl, toDisplayUrl } from "./http-url.js";
import { createMemorySource } from "./memory-source.js";

/** How remote files are read. */
export interface HttpSourceOptions extends DownloadOptions {
  /** Sent to the URL's own origin only, not to servers that it redirects to. Default none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Bearer token, for example of Hugging Face; sent to the URL's own origin only. Default none. */
  readonly token?: string | undefined;
  /** Replaces the global `fetch`, for proxies and tests. */
  readonly fetch?: Fetch | undefined;
  /** Stops the opening. Reads take signals of their own. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a file behind a URL for reading in any order, by range requests; it is never downloaded whole. Redirects are
 * followed without taking tokens along, failures that may pass are tried again, broken answers go on from the byte
 * reached, and a file that changes in between is noticed by its ETag.
 *
 * Memory: 128 KiB, or a file up to 1 MiB from a server without ranges.
 *
 * @throws NotFoundError `FILE_NOT_FOUND`, AccessDeniedError `ACCESS_DENIED`, InvalidInputError `FIELD_INVALID` for a bad
 * URL, LimitExceededError `LIMIT_EXCEEDED` for a server without ranges, UnavailableError `SOURCE_UNAVAILABLE` once all
 * attempts failed; later, from its reads, also CorruptDataError `CORRUPT` if the file has changed.
 */
export async function openHttpSource(location: string, options: HttpSourceOptions = {}): Promise<ByteSource> {
  const { url, credentials } = parseHttpUrl(location);
  const name = toDisplayUrl(url);
  const file = new HttpFile({
    fetch: options.fetch ?? ((target, init) => globalThis.fetch(target, init)),
    url,
    name,
    privateHeaders: toPrivateHeaders(options, credentials),
  });
  const downloader = new HttpDownloader(file, name, options);
  const { prefix, state } = await downloader.readPrefix(options.signal);
  const validator = state.etag ?? state.lastModified;
  if (prefix.length === state.size) {
    const digest = createHash("sha256").update(prefix).digest("hex");
    return createMemorySource(prefix, name, { fingerprint: JSON.stringify([url.href, digest]) });
  }
  const fingerprint = JSON.stringify([url.href, state.size, validator]);
  return new HttpSource(downloader, prefix, name, state.size, fingerprint, validator !== null);
}

class HttpSource implements ByteSource {
  readonly #downloader: HttpDownloader;
  readonly #prefix: Uint8Array;
  readonly name: string;
  readonly size: number;
  readonly fingerprint: string;
  readonly isIdentified: boolean;

  constructor(
    downloader: HttpDownloader,
    prefix: Uint8Array,
    name: string,
    size: number,
    fingerprint: string,
    isIdentified: boolean,
  ) {
    this.#downloader = downloader;
    this.#prefix = prefix;
    this.name = name;
    this.size = size;
    this.fingerprint = fingerprint;
    this.isIdentified = isIdentified;
  }

  async read(begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    assertRange(begin, end, this.size, this.name);
    signal?.throwIfAborted();
    if (end <= this.#prefix.length) return this.#prefix.slice(begin, end);
    const bytes = new Uint8Array(end - begin);
    let done = 0;
    for await (const piece of this.#downloader.download(begin, end, signal)) {
      bytes.set(piece, done);
      done += piece.length;
    }
    return bytes;
  }

  async *stream(begin: number, end: number, options?: StreamOptions): AsyncGenerator<Uint8Array, void, undefined> {
    assertRange(begin, end, this.size, this.name);
    const chunkBytes = toChunkBytes(options);
    const makeBuffer = options?.makeBuffer ?? makeNewBuffer;
    let chunk = makeBuffer(Math.min(chunkBytes, end - begin));
    let filled = 0;
    let left = end - begin;
    for await (const piece of this.#downloader.download(begin, end, options?.signal)) {
      for (let at = 0; at < piece.length; ) {
        const part = piece.subarray(at, at + chunk.length - filled);
        chunk.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < chunk.length) continue;
        left -= filled;
        yield chunk;
        chunk = makeBuffer(Math.min(chunkBytes, left));
        filled = 0;
      }
    }
  }

  async close(): Promise<void> {}
}

function toPrivateHeaders(options: HttpSourceOptions, credentials: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (credentials !== undefined) headers["authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
  if (options.token !== undefined) headers["authorization"] = `Bearer ${options.token}`;
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = value;
  try {
    new Headers(headers);
  } catch {
    // No cause and no names: they repeat the values, which are secrets.
    throw new InvalidInputError(
      "FIELD_INVALID",
      "A header or token has characters that HTTP does not allow; check it.",
    );
  }
  return headers;
}
