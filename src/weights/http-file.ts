import { CorruptDataError, UnavailableError } from "../errors/probestream-error.js";
import { discardBody, type Fetch, followRedirects, toStatusError } from "./http-request.js";
import { TransientFailure } from "./http-retry.js";

/** What tells one state of a remote file from another. */
export interface FileState {
  readonly size: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** The answer to a request for a byte range. */
export interface RangeAnswer {
  readonly response: Response;
  readonly state: FileState;
  /** First byte of the body. */
  readonly begin: number;
  /** One past its last byte; a server may give less than was asked for. */
  readonly end: number;
}

/** How a remote file is asked for. */
export interface HttpFileOptions {
  readonly fetch: Fetch;
  readonly url: URL;
  /** The URL fit for messages. */
  readonly name: string;
  readonly privateHeaders: Readonly<Record<string, string>>;
}

/**
 * A file behind a URL, asked for range by range. It keeps the address that redirects led to until that one's signature
 * expires, and sees to it that all ranges are of the same state of the file.
 */
export class HttpFile {
  readonly #options: HttpFileOptions;
  /** The address, after redirects, that last gave bytes. */
  #answeredAt: URL | undefined;
  #state: FileState | undefined;

  constructor(options: HttpFileOptions) {
    this.#options = options;
  }

  /**
   * Asks for bytes `begin` to `end`. The answer must be read or cancelled.
   *
   * @returns The answer; of a file that never gave a range, also one with the whole file (`begin` 0, status 200).
   * @throws TransientFailure where another attempt may help; CorruptDataError `CORRUPT` if the file has changed; errors
   * of {@link toStatusError}.
   */
  async request(begin: number, end: number, signal: AbortSignal): Promise<RangeAnswer> {
    const response = await this.#send(begin, end, signal);
    try {
      const answer = this.#toAnswer(response, begin);
      // Only ranges are asked for again; a whole file stays in memory.
      if (response.status === 206) this.#state ??= answer.state;
      return answer;
    } catch (error) {
      await discardBody(response);
      throw error;
    }
  }

  async #send(begin: number, end: number, signal: AbortSignal): Promise<Response> {
    const { url } = this.#options;
    // To a request with a range, fetch itself adds that the answer must not be compressed.
    const headers = { range: `bytes=${begin}-${end - 1}` };
    const known = this.#answeredAt;
    if (known === undefined) return this.#follow(url, headers, signal);
    const response = await this.#follow(known, { ...headers, ...this.#ifMatch() }, signal);
    if (known === url || (response.status !== 401 && response.status !== 403)) return response;
    // The signature has expired. The original address gives a new one; it is asked without a condition, for a hub's
    // ETag may differ from that of the server it redirects to.
    await discardBody(response);
    this.#answeredAt = undefined;
    return this.#follow(url, headers, signal);
  }

  async #follow(start: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const { fetch, privateHeaders, url: original } = this.#options;
    const request = { url: start, headers, privateHeaders, privateOrigin: original.origin, signal };
    const { response, url } = await followRedirects(fetch, request);
    if (response.ok) this.#answeredAt = url;
    return response;
  }

  /** Weak ETags never match under If-Match (RFC 9110 §13.1.1); they are compared when the answer is here. */
  #ifMatch(): Record<string, string> {
    const etag = this.#state?.etag ?? null;
    return etag === null || etag.startsWith("W/") ? {} : { "if-match": etag };
  }

  #toAnswer(response: Response, begin: number): RangeAnswer {
    const { name } = this.#options;
    const { status } = response;
    if (status === 412) throw this.#changed("the server says so");
    if (status === 416) return this.#toEmptyAnswer(response);
    if (status === 200) return this.#toWholeAnswer(response);
    if (status !== 206) throw toStatusError(response, name);
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
    const [from, last, size] = (range ?? []).slice(1).map(Number);
    if (
      from === undefined ||
      last === undefined ||
      size === undefined ||
      from !== begin ||
      last < from ||
      last >= size
    ) {
      const message = `${name} answered a request for a byte range with one that does not fit it; download the file and give its path.`;
      throw new UnavailableError("SOURCE_UNAVAILABLE", message, { url: name, begin });
    }
    const state = this.#assertSame(toState(response, size));
    return { response, state, begin, end: last + 1 };
  }

  /** 416 is how servers answer for an empty file, or for one that has become shorter. */
  #toEmptyAnswer(response: Response): RangeAnswer {
    const size = /^bytes \*\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
    if (this.#state !== undefined) throw this.#changed("it has become shorter");
    if (size !== "0") throw toStatusError(response, this.#options.name);
    return { response, state: toState(response, 0), begin: 0, end: 0 };
  }

  #toWholeAnswer(response: Response): RangeAnswer {
    if (this.#state !== undefined) {
      // One server of several behind an address, or a passing fault: it gave ranges before.
      throw new TransientFailure("the server gave the whole file instead of a range");
    }
    const length = response.headers.get("content-length");
    // Of a compressed answer the length says nothing about the file.
    const isKnown = length !== null && !response.headers.has("content-encoding");
    const size = isKnown ? Number(length) : Number.POSITIVE_INFINITY;
    return { response, state: toState(response, size), begin: 0, end: size };
  }

  #assertSame(state: FileState): FileState {
    const known = this.#state;
    if (known === undefined) return state;
    if (state.size !== known.size) throw this.#changed(`it had ${known.size} bytes, now ${state.size}`);
    if (known.etag !== null && state.etag !== null && withoutWeakness(known.etag) !== withoutWeakness(state.etag)) {
      throw this.#changed("its ETag is another");
    }
    if (known.etag === null && known.lastModified !== state.lastModified) {
      throw this.#changed("its Last-Modified date is another");
    }
    return known;
  }

  #changed(how: string): CorruptDataError {
    const { name } = this.#options;
    const message = `${name} has changed while it was being read: ${how}. Start again to read the new file.`;
    return new CorruptDataError("CORRUPT", message, { url: name });
  }
}

function toState(response: Response, size: number): FileState {
  return { size, etag: response.headers.get("etag"), lastModified: response.headers.get("last-modified") };
}

function withoutWeakness(etag: string): string {
  return etag.replace(/^W\//, "");
}
