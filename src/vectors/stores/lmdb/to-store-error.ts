import {
  AccessDeniedError,
  CorruptDataError,
  InternalError,
  LimitExceededError,
  PreconditionError,
  ProbestreamError,
  UnavailableError,
} from "../../../errors/probestream-error.js";
import { toFreeBytes } from "./prepare-folder.js";

/** Bytes free below which a failed write is taken for one that did not fit: lmdb calls it an input/output error. */
const fullBelowBytes = 16 * 1024 ** 2;

/** What lmdb, or the file system below it, says; the first that matches counts. */
const meanings: readonly {
  readonly pattern: RegExp;
  readonly toError: (folder: string, facts: { readonly folder: string }, cause: unknown) => ProbestreamError;
}[] = [
  {
    pattern: /ENOSPC|EDQUOT|EFBIG|MDB_MAP_FULL|No space left|Disk quota|File too large/i,
    toError: (folder, facts, cause) =>
      new LimitExceededError(
        "LIMIT_EXCEEDED",
        `there is no room left for the catalogue in "${folder}"; nothing of this call was written: free some of the disk`,
        facts,
        { cause },
      ),
  },
  {
    pattern: /EACCES|EPERM|EROFS|Permission denied|Operation not permitted|Read-only file system/i,
    toError: (folder, facts, cause) =>
      new AccessDeniedError(
        "ACCESS_DENIED",
        `the catalogue in "${folder}" may not be written by this user; change its permissions, or choose another folder`,
        facts,
        { cause },
      ),
  },
  {
    pattern: /MDB_VERSION_MISMATCH|MDB_INVALID|not an LMDB file|ENOTDIR|EEXIST|Not a directory|EISDIR/i,
    toError: (folder, facts, cause) =>
      new PreconditionError(
        "FORMAT_REFUSED",
        `"${folder}" is no folder of a catalogue that this version reads; choose another`,
        facts,
        { cause },
      ),
  },
  {
    pattern: /MDB_CORRUPTED|MDB_PAGE_NOTFOUND|MDB_PANIC|MDB_BAD/i,
    toError: (folder, facts, cause) =>
      new CorruptDataError("CORRUPT", `the catalogue in "${folder}" is damaged; put a snapshot in its place`, facts, {
        cause,
      }),
  },
  {
    pattern: /MDB_READERS_FULL/i,
    toError: (folder, facts, cause) =>
      new UnavailableError(
        "SOURCE_UNAVAILABLE",
        `too many processes have the catalogue in "${folder}" open; end some`,
        facts,
        { cause },
      ),
  },
];

/**
 * What a failure means to a caller; the cause keeps its own words. Our own errors stay as they are. What neither lmdb nor
 * the system reported is a fault of ours: InternalError `INTERNAL`.
 */
export function toStoreError(cause: unknown, folder: string): ProbestreamError {
  if (cause instanceof ProbestreamError) return cause;
  const said = toText(cause);
  const text = /Input\/output error|EIO/.test(said) && isFull(folder) ? `ENOSPC: ${said}` : said;
  const facts = { folder };
  const meaning = meanings.find(({ pattern }) => pattern.test(text));
  if (meaning !== undefined) return meaning.toError(folder, facts, cause);
  const short = text.slice(0, 200);
  if (isReported(cause)) {
    const message = `the catalogue in "${folder}" could not be used (${short}); check the disk and try again`;
    return new UnavailableError("SOURCE_UNAVAILABLE", message, facts, { cause });
  }
  const message = `the store of the catalogue in "${folder}" has a fault (${short}); report it with its cause`;
  return new InternalError("INTERNAL", message, facts, { cause });
}

/** Whether lmdb or the system reported an error: by a number, by a name such as `EIO`, or in lmdb's own words. */
function isReported(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("code" in error && (typeof error.code === "number" || /^E[A-Z0-9]+$/.test(String(error.code)))) return true;
  if (/\bMDB_[A-Z]|Input\/output error|\bEIO\b|^Commit failed/.test(error.message)) return true;
  return isReported(toInner(error));
}

function isFull(folder: string): boolean {
  try {
    return toFreeBytes(folder) < fullBelowBytes;
  } catch {
    return false;
  }
}

/** Code and message of an error and of what it came of: lmdb reports a failed commit as the cause of another error. */
function toText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? `${String(error.code)}: ` : "";
  const inner = toInner(error);
  return `${code}${error.message}${inner === undefined ? "" : ` (${toText(inner)})`}`;
}

function toInner(error: Error): unknown {
  return error.cause ?? ("commitError" in error ? error.commitError : undefined);
}
