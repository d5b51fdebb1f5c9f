import { LimitExceededError } from "../errors/probestream-error.js";
import { HttpAttempt } from "./http-attempt.js";
import type { FileState, HttpFile } from "./http-file.js";
import { type RetryRule, recover } from "./http-retry.js";

/** How often and how patiently a download is tried. */
export interface DownloadOptions {
  /** Attempts in a row that may fail before it is given up. Default {@link DEFAULT_MAX_ATTEMPTS}. */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds before the second attempt; later ones wait longer. Default {@link DEFAULT_FIRST_DELAY_MS}. */
  readonly firstDelayMs?: number | undefined;
  /** Milliseconds without a byte after which an attempt counts as failed. Default {@link DEFAULT_IDLE_MS}. */
  readonly idleMs?: number | undefined;
}

/** 5: the waits between them add up to 4 to 7.5 s, enough for a server to be replaced by another. */
export const DEFAULT_MAX_ATTEMPTS = 5;

/** 500 ms. */
export const DEFAULT_FIRST_DELAY_MS = 500;

/** 60 s: content networks answer within seconds; longer silence is a dead connection. */
export const DEFAULT_IDLE_MS = 60_000;

/**
 * 128 KiB: the first request, which also finds the size. It holds a header of about
 * 1,000 tensors, at some 120 bytes each: all of most LoRA files.
 */
export const PREFIX_BYTES = 131_072;

/**
 * 1 MiB: a file up to this is taken whole from a server that ignores ranges. Model indexes and small LoRA files fit;
 * a larger file would have to be downloaded from its start for every tensor.
 */
export const MAX_WHOLE_FILE_BYTES = 1_048_576;

/** The rule of options, with defaults for what they leave out. */
export function toRetryRule({ maxAttempts, firstDelayMs }: DownloadOptions): RetryRule {
  return { maxAttempts: maxAttempts ?? DEFAULT_MAX_ATTEMPTS, firstDelayMs: firstDelayMs ?? DEFAULT_FIRST_DELAY_MS };
}

/** 64 KiB: an attempt that brought this many bytes counts as a success, so that long downloads survive many breaks. */
export const PROGRESS_BYTES = 65_536;

/** Downloads ranges of one file, through failures that pass. */
export class HttpDownloader {
  readonly #file: HttpFile;
  readonly #name: string;
  readonly #rule: RetryRule;
  readonly #idleMs: number;

  constructor(file: HttpFile, name: string, options: DownloadOptions) {
    this.#file = file;
    this.#name = name;
    this.#rule = toRetryRule(options);
    this.#idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
  }

  /** The file's first bytes and its size, by the first request; all of a small file. */
  async readPrefix(signal: AbortSignal | undefined): Promise<{ prefix: Uint8Array; state: FileState }> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#readPrefixOnce(signal);
      } catch (error) {
        await recover(error, failures, this.#rule, this.#name, signal);
      }
    }
  }

  /** Bytes `begin` to `end` in pieces of whatever length the network gives. */
  async *download(
    begin: number,
    end: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let at = begin;
    let failures = 0;
    while (at < end) {
      const start = at;
      try {
        for await (const piece of this.#attempt(at, end, signal)) {
          at += piece.length;
          yield piece;
        }
      } catch (error) {
        failures = at - start >= PROGRESS_BYTES ? 1 : failures + 1;
        await recover(error, failures, this.#rule, this.#name, signal);
      }
    }
  }

  async #readPrefixOnce(signal: AbortSignal | undefined): Promise<{ prefix: Uint8Array; state: FileState }> {
    const attempt = new HttpAttempt(this.#idleMs, signal);
    try {
      const answer = await attempt.watch(this.#file.request(0, PREFIX_BYTES, attempt.signal));
      const isWhole = answer.response.status === 200;
      if (isWhole && Number.isFinite(answer.end) && answer.end > MAX_WHOLE_FILE_BYTES) {
        throw this.#noRanges(answer.response);
      }
      const pieces: Uint8Array[] = [];
      let length = 0;
      for await (const piece of attempt.pieces(answer)) {
        length += piece.length;
        if (isWhole && length > MAX_WHOLE_FILE_BYTES) throw this.#noRanges(answer.response);
        pieces.push(piece);
      }
      const size = isWhole ? length : answer.state.size;
      return { prefix: new Uint8Array(Buffer.concat(pieces)), state: { ...answer.state, size } };
    } finally {
      attempt.end();
    }
  }

  async *#attempt(
    begin: number,
    end: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const attempt = new HttpAttempt(this.#idleMs, signal);
    try {
      const answer = await attempt.watch(this.#file.request(begin, end, attempt.signal));
      yield* attempt.pieces({ ...answer, end: Math.min(end, answer.end) });
    } finally {
      attempt.end();
    }
  }

  #noRanges(response: Response): LimitExceededError {
    const length = response.headers.get("content-length");
    const message = `${this.#name} comes from a server that ignores range requests, and has ${length ?? "an unknown number of"} bytes; at most ${MAX_WHOLE_FILE_BYTES} are taken whole. Download the file and give its path.`;
    return new LimitExceededError("LIMIT_EXCEEDED", message, { url: this.#name, maxBytes: MAX_WHOLE_FILE_BYTES });
  }
}
