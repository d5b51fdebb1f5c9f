import { InvalidInputError } from "../errors/probestream-error.js";

/** A URL taken apart: what may be requested, what may be shown, and what may only be sent to its origin. */
export interface ParsedUrl {
  /** Without credentials and fragment. */
  readonly url: URL;
  /** `user:password` of the URL, if it had any. */
  readonly credentials?: string;
}

/** Whether a model's location is a URL rather than a path. */
export function isHttpUrl(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

/** The scheme of a URL, as `ftp://`; undefined for a path. */
export function findScheme(location: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\//i.exec(location)?.[0];
}

/**
 * Parses the URL of a file. Pages of Hugging Face (`/blob/`) become the file that they show (`/resolve/`).
 *
 * @throws InvalidInputError `FIELD_INVALID` for what is no http(s) URL; the message does not repeat it, for it may hold
 * a token.
 */
export function parseHttpUrl(text: string): ParsedUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isHttpUrl(url.href)) {
    throw new InvalidInputError("FIELD_INVALID", "A URL could not be read; it must start with https:// or http://.");
  }
  const credentials = url.username === "" ? undefined : toCredentials(url);
  url.username = "";
  url.password = "";
  url.hash = "";
  if (/^(?:www\.)?(?:huggingface\.co|hf\.co)$/.test(url.hostname)) {
    url.pathname = url.pathname.replace(/^(\/(?:(?:datasets|spaces)\/)?[^/]+\/[^/]+)\/blob\//, "$1/resolve/");
  }
  return credentials === undefined ? { url } : { url, credentials };
}

function toCredentials({ username, password }: URL): string {
  try {
    return decodeURIComponent(`${username}:${password}`);
  } catch (cause) {
    const message = "The user name or password of a URL has a % that begins no escape; write it as %25.";
    throw new InvalidInputError("FIELD_INVALID", message, {}, { cause });
  }
}

/** A URL fit for messages and logs: query strings carry signatures and tokens, so they go. */
export function toDisplayUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
