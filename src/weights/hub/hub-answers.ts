import { commitPattern } from "./hub-cache.js";

/** A revision as the Hub has it now. */
export interface HubRevision {
  readonly commit: string;
  /** Paths of all its files. */
  readonly files: ReadonlySet<string>;
}

/** Parses the Hub's description of a revision; undefined if it is none. */
export function parseRevision(text: string): HubRevision | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { sha, siblings } = (value ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !commitPattern.test(sha) || !Array.isArray(siblings)) return undefined;
  const names = siblings.map((each: unknown) => (each as { rfilename?: unknown } | null)?.rfilename);
  return { commit: sha, files: new Set(names.filter((name) => typeof name === "string")) };
}

/** What is known of a file's content before it is here. */
export interface ContentFacts {
  readonly size: number;
  /** SHA-256 of the content of a large file, git's SHA-1 of a small one; lower-case hexadecimal. */
  readonly digest: string;
}

/**
 * Finds size and digest in the headers of a file; undefined if one is missing. A content network's own ETag may look like
 * a SHA-256 and be something else, so that this one is taken from the Hub's header only.
 */
export function parseContentFacts(headers: Headers): ContentFacts | undefined {
  const strip = (name: string): string => (headers.get(name) ?? "").replace(/^W\//, "").replaceAll('"', "");
  const linked = strip("x-linked-etag");
  const own = strip("etag");
  const digest = /^(?:[0-9a-f]{64}|[0-9a-f]{40})$/.test(linked) ? linked : /^[0-9a-f]{40}$/.test(own) ? own : undefined;
  const size = Number(headers.get("x-linked-size") ?? headers.get("content-length") ?? Number.NaN);
  return digest !== undefined && Number.isSafeInteger(size) && size >= 0 ? { size, digest } : undefined;
}
