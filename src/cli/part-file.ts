import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { notWritten } from "./written-file.js";

/** A file that is written piece by piece, and takes its place when it is whole. */
export interface PartFile {
  /** Appends bytes. */
  append(bytes: Uint8Array | string): Promise<void>;
  /** Overwrites bytes from the file's first on. */
  overwriteStart(bytes: Uint8Array): Promise<void>;
  /** Puts the file in its place, over one that was there. */
  commit(): Promise<void>;
  /** Removes what was written, if it is not in its place yet. */
  discard(): Promise<void>;
}

/**
 * Begins a file; whether there can be one of its name is known before, see `assertFilePlace`.
 *
 * @param option that names it, for messages.
 * @throws CommandError if it cannot be written; so does each of its functions.
 */
export async function openPartFile(option: string, path: string): Promise<PartFile> {
  const temporary = `${path}.${process.pid}.part`;
  const orTell = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((cause: unknown) => {
      throw notWritten(option, path, cause);
    });
  const handle: FileHandle = await orTell(open(temporary, "w"));
  let isDone = false;
  return {
    append: (bytes) => orTell(handle.appendFile(bytes)),
    overwriteStart: async (bytes) => {
      await orTell(handle.write(bytes, 0, bytes.byteLength, 0));
    },
    commit: async () => {
      await orTell(handle.sync());
      await orTell(handle.close());
      await orTell(rename(temporary, path));
      isDone = true;
    },
    discard: async () => {
      if (isDone) return;
      await handle.close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}
