import { InvalidInputError, LimitExceededError, UnavailableError } from "../../errors/probestream-error.js";
import { HttpAttempt } from "../http-attempt.js";
import { DEFAULT_IDLE_MS, type DownloadOptions, toRetryRule } from "../http-downloader.js";
import {
  discardBody,
  type Fetch,
  fetchOnce,
  followRedirects,
  isRedirect,
  MAX_REDIRECTS,
  toRedirectTarget,
} from "../http-request.js";
import { recover } from "../http-retry.js";
import { parseHttpUrl, toDisplayUrl } from "../http-url.js";
import { type ContentFacts, type HubRevision, parseContentFacts, parseRevision } from "./hub-answers.js";
import type { HubModel } from "./hub-model.js";
import { toHubError } from "./to-hub-error.js";

/** How the Hub is reached. */
export interface HubClientOptions extends DownloadOptions {
  /** Address of the Hub, or of a mirror. Default {@link DEFAULT_HUB_ENDPOINT}. */
  readonly endpoint?: string | undefined;
  /** Access token; sent to the endpoint's origin only. Default none. */
  readonly token?: string | undefined;
  /** Replaces the global `fetch`, for proxies and tests. */
  readonly fetch?: Fetch | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the Hub is. */
export const DEFAULT_HUB_ENDPOINT = "https://huggingface.co";

/** 32 MiB: the description of a repository of 100,000 files takes about 7. */
const maxDescriptionBytes = 32 * 1024 ** 2;

/** Asks the Hugging Face Hub, or what answers as it does, about one model. */
export class HubClient {
  readonly #endpoint: URL;
  readonly #model: HubModel;
  readonly #options: HubClientOptions;
  readonly #fetch: Fetch;
  readonly #privateHeaders: Readonly<Record<string, string>>;

  /** @throws InvalidInputError `FIELD_INVALID` for an endpoint that is no URL, or a token that HTTP cannot carry. */
  constructor(model: HubModel, options: HubClientOptions) {
    const { url } = parseHttpUrl(options.endpoint ?? DEFAULT_HUB_ENDPOINT);
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    this.#endpoint = url;
    this.#model = model;
    this.#options = options;
    this.#fetch = options.fetch ?? ((target, init) => globalThis.fetch(target, init));
    this.#privateHeaders = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
    try {
      new Headers(this.#privateHeaders);
    } catch {
      // No cause: it repeats the token.
      throw new InvalidInputError(
        "FIELD_INVALID",
        "The Hub's token has characters that HTTP does not allow; check it.",
      );
    }
  }

  /** Where the Hub is, for messages. */
  get endpoint(): string {
    return toDisplayUrl(this.#endpoint).replace(/\/$/, "");
  }

  /** Address of a file of a revision. */
  toUrl(revision: string, path: string): URL {
    const parts = path.split("/").map(encodeURIComponent).join("/");
    return new URL(`${this.#model.name}/resolve/${encodeURIComponent(revision)}/${parts}`, this.#endpoint);
  }

  /**
   * Finds the revision's commit and the names of its files.
   *
   * @throws NotFoundError `FILE_NOT_FOUND` for a model or revision that is not there, AccessDeniedError `ACCESS_DENIED`,
   * UnavailableError `SOURCE_UNAVAILABLE` if the Hub does not answer, or not as it should.
   */
  async readRevision(): Promise<HubRevision> {
    const { name, revision } = this.#model;
    const url = new URL(`api/models/${name}/revision/${encodeURIComponent(revision)}`, this.#endpoint);
    const text = await this.try(url, async (attempt) => readText(await this.get(url, {}, attempt), attempt, url));
    const found = parseRevision(text);
    if (found !== undefined) return found;
    throw notHub(url, "its description of the model has no commit, or no list of files");
  }

  /**
   * Finds size and digest of a file of a commit.
   *
   * @throws as {@link readRevision} does.
   */
  async readFacts(commit: string, path: string): Promise<ContentFacts> {
    const url = this.toUrl(commit, path);
    const facts = parseContentFacts(await this.try(url, (attempt) => this.#readHeaders(url, attempt)));
    if (facts !== undefined) return facts;
    throw notHub(url, "it gives no size, or no checksum, of the file");
  }

  /** Does what the network may fail at, and again where that may help. */
  async try<T>(url: URL, work: (attempt: HttpAttempt) => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.once(work);
      } catch (error) {
        await this.recover(error, failures, url);
      }
    }
  }

  /** Does what the network may fail at. */
  async once<T>(work: (attempt: HttpAttempt) => Promise<T>): Promise<T> {
    const attempt = new HttpAttempt(this.#options.idleMs ?? DEFAULT_IDLE_MS, this.#options.signal);
    try {
      return await work(attempt);
    } finally {
      attempt.end();
    }
  }

  /** Waits if another attempt may help; throws otherwise. */
  recover(error: unknown, failures: number, url: URL): Promise<void> {
    return recover(error, failures, toRetryRule(this.#options), toDisplayUrl(url), this.#options.signal);
  }

  /** Asks for a URL and follows redirects; the token goes to the endpoint only. The body must be read or discarded. */
  async get(url: URL, headers: Readonly<Record<string, string>>, attempt: HttpAttempt): Promise<Response> {
    const request = {
      url,
      // What is compressed has another length than the file.
      headers: { "accept-encoding": "identity", ...headers },
      privateHeaders: this.#privateHeaders,
      privateOrigin: this.#endpoint.origin,
      signal: attempt.signal,
    };
    const { response } = await attempt.watch(followRedirects(this.#fetch, request));
    if (response.ok) return response;
    await discardBody(response);
    throw this.#toError(response, url);
  }

  /**
   * The headers that tell of a file: of the redirect to a content network, where it is large; else of what redirects
   * lead to.
   */
  async #readHeaders(start: URL, attempt: HttpAttempt): Promise<Headers> {
    let url = start;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const isPrivate = url.origin === this.#endpoint.origin;
      const headers = { ...(isPrivate ? this.#privateHeaders : {}), "accept-encoding": "identity" };
      const init: RequestInit = { method: "HEAD", headers, redirect: "manual", signal: attempt.signal };
      const response = await attempt.watch(fetchOnce(this.#fetch, url, init));
      const location = isRedirect(response.status) ? response.headers.get("location") : null;
      if (response.ok || (location !== null && response.headers.has("x-linked-etag"))) return response.headers;
      if (location === null) throw this.#toError(response, start);
      url = toRedirectTarget(location, url);
    }
    throw notHub(start, `it redirects more than ${MAX_REDIRECTS} times`);
  }

  #toError(response: Response, url: URL): Error {
    return toHubError(response, this.#model, this.#endpoint.host, toDisplayUrl(url));
  }
}

function notHub(url: URL, why: string): UnavailableError {
  const name = toDisplayUrl(url);
  const message = `${name} is not answered as by the Hugging Face Hub: ${why}; check HF_ENDPOINT`;
  return new UnavailableError("SOURCE_UNAVAILABLE", message, { url: name });
}

async function readText(response: Response, attempt: HttpAttempt, url: URL): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of attempt.pieces({ response, begin: 0, end: Number.POSITIVE_INFINITY })) {
    bytes += piece.length;
    if (bytes > maxDescriptionBytes) {
      const message = `${toDisplayUrl(url)} gives more than ${maxDescriptionBytes} bytes; give a folder with the model's files`;
      throw new LimitExceededError("LIMIT_EXCEEDED", message, { max: maxDescriptionBytes });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
