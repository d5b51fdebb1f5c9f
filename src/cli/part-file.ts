import { access, constants, type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CommandError, exitCodes, usageError } from "./exit-codes.js";

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
 * Begins a file.
 *
 * @param option that names it, for messages.
 * @throws CommandError if there cannot be one of that name, or, of each of its functions, if it cannot be written.
 */
export async function openPartFile(option: string, path: string): Promise<PartFile> {
  await access(dirname(path), constants.W_OK).catch(() => {
    throw usageError(`${option}: ${dirname(path)} is no folder that can be written to`);
  });
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory()) throw usageError(`${option}: ${path} is a folder; name a file`);
  const temporary = `${path}.${process.pid}.part`;
  const orTell = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((cause: unknown) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new CommandError(`${option}: ${path} could not be written: ${message}`, exitCodes.unusable, { cause });
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
