import { stat } from "node:fs/promises";
import { toProbestreamError } from "../../errors/plain-error.js";
import { ProbestreamError } from "../../errors/probestream-error.js";
import { readTokenFile } from "./read-token-file.js";
import { isAmong, type TokenSet, toTokenDigest } from "./token-set.js";

/** Hears that a changed file was read, or why the tokens from before stay in force. */
export type ReloadListener = (error: ProbestreamError | undefined) => void;

/** Tokens of a file, which is read again when it changes. */
export interface TokenFile extends TokenSet {
  /** SHA-256 of each token in force. */
  readonly digests: readonly Uint8Array[];
  /** Adds a listener. The same complaint is made once. */
  onReload(listener: ReloadListener): void;
  /** Looks at the file no more; the tokens stay. */
  close(): void;
}

/** How a file of tokens is kept in sight. */
export interface TokenFileOptions {
  /** Pause between two looks at the file, in milliseconds. Default 1,000. */
  readonly pauseMs?: number;
}

/**
 * Opens a file with one token per line (blank lines and those that begin with `#` are passed over). It is read again when it
 * changes or another takes its place; one that cannot be used then leaves the tokens from before in force.
 *
 * Looked at by the clock, for what systems tell of changes misses links that are exchanged, as secrets of Kubernetes are,
 * and network file systems. The process may end meanwhile. Write a new file and rename it: of one that is written in place a
 * part may be read, for a second.
 *
 * @throws InvalidInputError `FIELD_INVALID`, LimitExceededError `LIMIT_EXCEEDED`, NotFoundError `FILE_NOT_FOUND`,
 * AccessDeniedError `ACCESS_DENIED` for a file that others may read, UnavailableError `SOURCE_UNAVAILABLE`.
 */
export async function openTokenFile(path: string, { pauseMs = 1000 }: TokenFileOptions = {}): Promise<TokenFile> {
  const listeners: ReloadListener[] = [];
  // Taken before it is read: a change meanwhile is seen at the next look.
  let version = await toVersion(path);
  let digests = (await readTokenFile(path)).map(toTokenDigest);
  let complaint = "";
  let isClosed = false;

  const tell: ReloadListener = (error) => {
    for (const listener of listeners) listener(error);
  };
  const look = async (): Promise<void> => {
    const found = await toVersion(path);
    if (found === version) {
      complaint = "";
      return;
    }
    const read = await readTokenFile(path).catch(toProbestreamError);
    if (isClosed) return;
    if (read instanceof ProbestreamError) {
      if (read.message !== complaint) tell(read);
      complaint = read.message;
      return;
    }
    digests = read.map(toTokenDigest);
    version = found;
    complaint = "";
    tell(undefined);
  };
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    timer = setTimeout(async () => {
      await look();
      if (!isClosed) wait();
    }, pauseMs).unref();
  };
  wait();
  return {
    get digests() {
      return digests;
    },
    has: (token) => isAmong(digests, token),
    onReload: (listener) => {
      listeners.push(listener);
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** Differs where a file was changed, exchanged or taken away. */
async function toVersion(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return "";
  }
}
