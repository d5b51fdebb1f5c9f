import { accessSync, closeSync, constants, mkdirSync, openSync, readSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";

/** Name of the file in a store's folder; lmdb puts a lock file beside it. */
export const fileName = "catalogue.mdb";

/** Bytes free on the disk that opening takes at least: two pages and the lock file, and something to work with. */
const leastFreeBytes = 4 * 1024 ** 2;
/** Where lmdb's first page has its mark and the version of its layout, both little-endian. */
const markAt = 24;
const mark = 0xbeefc0de;
const layoutVersion = 2;

/**
 * Makes a folder if need be, and finds out whether lmdb will be able to open a file there, which it must: where opening
 * fails, lmdb 3.5.6 frees its memory twice, and takes the process with it.
 *
 * @throws the file system's errors; Error `MDB_INVALID`, `MDB_VERSION_MISMATCH`, `ENOSPC`, for `toStoreError`.
 */
export function prepareFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  const path = join(folder, fileName);
  const sizes = [statFile(path), statFile(`${path}-lock`)];
  if (sizes[0] !== 0) assertMark(path);
  // What is there already can be read on a full disk.
  const free = sizes.includes(0) ? toFreeBytes(folder) : leastFreeBytes;
  if (free < leastFreeBytes) throw new Error(`ENOSPC: ${free} bytes are free in ${folder}`);
}

/** Bytes free on a folder's disk. */
export function toFreeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Bytes of a file that may be read and written; 0 if it is not there. */
function statFile(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isFile()) throw new Error(`MDB_INVALID: ${path} is no file`);
  accessSync(path, constants.R_OK | constants.W_OK);
  return stats.size;
}

function assertMark(path: string): void {
  const head = Buffer.alloc(markAt + 8);
  const file = openSync(path, "r");
  try {
    readSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
  if (head.readUInt32LE(markAt) !== mark) throw new Error(`MDB_INVALID: ${path} is no file of lmdb`);
  const version = head.readUInt32LE(markAt + 4);
  if (version !== layoutVersion)
    throw new Error(`MDB_VERSION_MISMATCH: ${path} has version ${version} of lmdb's layout`);
}
