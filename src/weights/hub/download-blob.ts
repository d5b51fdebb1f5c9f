import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CorruptDataError } from "../../errors/probestream-error.js";
import { makeFolder } from "../../system/make-folder.js";
import type { HttpAttempt } from "../http-attempt.js";
import { PROGRESS_BYTES } from "../http-downloader.js";
import { discardBody } from "../http-request.js";
import { TransientFailure } from "../http-retry.js";
import { toDisplayUrl } from "../http-url.js";
import type { ContentFacts } from "./hub-answers.js";
import type { HubClient } from "./hub-client.js";
import { inCache } from "./in-cache.js";

/** A content that is fetched. */
export interface BlobDownload extends ContentFacts {
  readonly url: URL;
  /** Where it ends up, once it is whole and right. */
  readonly path: string;
  /** Hears how many bytes are there. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * What is appended to the name of a content that is not whole. A suffix of our own: the Hub's tools append to theirs, and
 * leave holes in them. Whoever writes here puts the bytes of one content at their places, so that several processes at
 * once do no harm.
 */
const partialSuffix = ".probestream.incomplete";

/**
 * Downloads a content, from where an earlier attempt broke off, and takes it if its digest is right.
 *
 * Memory: what the network gives at once.
 *
 * @throws CorruptDataError `DIGEST_MISMATCH` if what came is another content, and nothing is kept of it; what the client
 * throws; UnavailableError `SOURCE_UNAVAILABLE` if it cannot be written.
 */
export async function downloadBlob(client: HubClient, blob: BlobDownload): Promise<void> {
  try {
    await download(client, blob);
  } catch (error) {
    // Another process was faster, and took its file away from here.
    if ((await sizeOf(blob.path)) !== blob.size) throw error;
  }
}

async function download(client: HubClient, blob: BlobDownload): Promise<void> {
  const partial = `${blob.path}${partialSuffix}`;
  await inCache(partial, () => makeFolder(dirname(partial)));
  const isResumed = (await sizeOf(partial)) > 0;
  await fill(client, blob, partial);
  let found = await digest(partial, blob);
  if (found !== blob.digest && isResumed) {
    // What lay there may have been another's: once more from the start.
    await rm(partial, { force: true });
    await fill(client, blob, partial);
    found = await digest(partial, blob);
  }
  if (found === blob.digest) return inCache(partial, () => rename(partial, blob.path));
  await rm(partial, { force: true });
  const name = toDisplayUrl(blob.url);
  const message = `${name} has the checksum ${found}, the Hub says ${blob.digest}; nothing is kept of it, try again`;
  throw new CorruptDataError("DIGEST_MISMATCH", message, { url: name, found, expected: blob.digest });
}

/** Downloads what is missing, through failures that pass. */
async function fill(client: HubClient, blob: BlobDownload, partial: string): Promise<void> {
  let at = Math.max(0, await sizeOf(partial));
  // Not emptied: another process may be at it.
  const file = await inCache(partial, () => open(partial, constants.O_RDWR | constants.O_CREAT));
  try {
    if (at > blob.size) {
      await inCache(partial, () => file.truncate());
      at = 0;
    }
    blob.onBytes(at);
    for (let failures = 0; at < blob.size; ) {
      const start = at;
      try {
        await client.once(async (attempt) => {
          for await (const done of receive(client, blob, file, at, attempt)) {
            at = done;
            blob.onBytes(at);
          }
        });
      } catch (error) {
        failures = at - start >= PROGRESS_BYTES ? 1 : failures + 1;
        await client.recover(error, failures, blob.url);
      }
    }
    await inCache(partial, () => file.sync());
  } finally {
    await file.close();
  }
}

/** Writes what comes from byte `at` on; yields how many bytes are there. */
async function* receive(
  client: HubClient,
  { url, size, path }: BlobDownload,
  file: FileHandle,
  at: number,
  attempt: HttpAttempt,
): AsyncGenerator<number> {
  const response = await client.get(url, at === 0 ? {} : { range: `bytes=${at}-` }, attempt);
  const begin = response.status === 206 ? toBegin(response) : 0;
  if (begin !== at && begin !== 0) {
    await discardBody(response);
    throw new TransientFailure(`the server gave another part than byte ${at} on`);
  }
  let done = begin;
  for await (const piece of attempt.pieces({ response, begin, end: size })) {
    await inCache(path, () => writeAll(file, piece, done));
    done += piece.length;
    // A server that knows no ranges gives what is there already once more.
    yield Math.max(at, done);
  }
}

function toBegin(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
}

async function writeAll(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < piece.length; ) {
    const { bytesWritten } = await file.write(piece, at, piece.length - at, position + at);
    at += bytesWritten;
  }
}

/** Bytes of a file; -1 if there is none. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => -1,
  );
}

/** The digest of what lies there, of the kind that the expected one is. */
async function digest(path: string, { digest: expected, size }: ContentFacts): Promise<string> {
  const isGit = expected.length === 40;
  const hash = createHash(isGit ? "sha1" : "sha256");
  if (isGit) hash.update(`blob ${size}\0`);
  return inCache(path, async () => {
    for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
    return hash.digest("hex");
  });
}
