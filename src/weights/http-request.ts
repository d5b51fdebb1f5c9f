import { AccessDeniedError, InvalidInputError, NotFoundError, UnavailableError } from "../errors/probestream-error.js";
import { parseRetryAfter, TransientFailure } from "./http-retry.js";
import { isHttpUrl, toDisplayUrl } from "./http-url.js";

/** The part of `fetch` that is needed. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** One request: where it starts, and what is sent along. */
export interface HttpRequest {
  readonly url: URL;
  /** Sent to every server on the way. */
  readonly headers: Readonly<Record<string, string>>;
  /** Tokens and the caller's own headers: sent to `privateOrigin` only. */
  readonly privateHeaders: Readonly<Record<string, string>>;
  readonly privateOrigin: string;
  readonly signal: AbortSignal;
}

/** 5: hubs redirect once or twice; browsers allow 20. */
export const MAX_REDIRECTS = 5;

/**
 * Requests a URL and follows redirects by hand, for `fetch` keeps custom headers (and so tokens in them) when it
 * follows one to another server.
 *
 * @returns The answer that is no redirect, and the URL that gave it.
 * @throws TransientFailure if the network fails; InvalidInputError `FIELD_INVALID` for redirects that lead nowhere, on
 * and on, or from https to http.
 */
export async function followRedirects(fetch: Fetch, request: HttpRequest): Promise<{ response: Response; url: URL }> {
  let url = request.url;
  for (let redirects = 0; ; redirects++) {
    const isPrivate = url.origin === request.privateOrigin;
    const headers = { ...(isPrivate ? request.privateHeaders : {}), ...request.headers };
    const response = await fetchOnce(fetch, url, { headers, redirect: "manual", signal: request.signal });
    const location = isRedirect(response.status) ? response.headers.get("location") : null;
    if (location === null) return { response, url };
    await discardBody(response);
    if (redirects === MAX_REDIRECTS) {
      const message = `${toDisplayUrl(request.url)} redirects more than ${MAX_REDIRECTS} times; give the file's own address.`;
      throw new InvalidInputError("FIELD_INVALID", message, { maxRedirects: MAX_REDIRECTS });
    }
    url = toRedirectTarget(location, url);
  }
}

/**
 * The error that a status means, or a {@link TransientFailure} where another attempt may help. Also for statuses that
 * mean success elsewhere: the caller has taken out what it understands.
 */
export function toStatusError(response: Response, name: string): Error {
  const { status } = response;
  const facts = { url: name, status };
  if (status === 404 || status === 410) {
    return new NotFoundError(
      "FILE_NOT_FOUND",
      `There is no file at ${name} (HTTP ${status}); check the address.`,
      facts,
    );
  }
  if (status === 401 || status === 403) {
    const message = `${name} may not be read (HTTP ${status}): set HF_TOKEN for Hugging Face, or give a header with --header. Hubs answer the same for repositories that do not exist.`;
    return new AccessDeniedError("ACCESS_DENIED", message, facts);
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"));
    return new TransientFailure(`HTTP ${status}`, { retryAfterMs });
  }
  const message = `${name} answered HTTP ${status} to a request for a byte range; check the address.`;
  return new UnavailableError("SOURCE_UNAVAILABLE", message, facts);
}

/** Lets go of an answer that is not read, so that its connection is free again. */
export async function discardBody(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}

/** Makes one request; failures of the network become {@link TransientFailure}. */
export async function fetchOnce(fetch: Fetch, url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "no answer";
    throw new TransientFailure(`${url.host}: ${code}`, { cause });
  }
}

/** Whether an answer sends its reader elsewhere. */
export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * Where a redirect leads, without credentials.
 *
 * @throws InvalidInputError `FIELD_INVALID` if it leads nowhere, or from https to http.
 */
export function toRedirectTarget(location: string, from: URL): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  if (target === undefined || !isHttpUrl(target.href)) {
    throw new InvalidInputError(
      "FIELD_INVALID",
      `${toDisplayUrl(from)} redirects to something that is no http(s) URL.`,
    );
  }
  if (from.protocol === "https:" && target.protocol === "http:") {
    const message = `${toDisplayUrl(from)} redirects from https to http (${target.host}); give an address that stays encrypted.`;
    throw new InvalidInputError("FIELD_INVALID", message, { host: target.host });
  }
  target.username = "";
  target.password = "";
  target.hash = "";
  return target;
}
