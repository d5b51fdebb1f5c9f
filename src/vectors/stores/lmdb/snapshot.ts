import { constants, copyFile, mkdtemp, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { NotFoundError, PreconditionError } from "../../../errors/probestream-error.js";
import { makeFolder } from "../../../system/make-folder.js";
import { fileName } from "./prepare-folder.js";
import { toStoreError } from "./to-store-error.js";

/**
 * Makes a folder with one file, whole or not at all: the file is made beside the folder, comes to the disk, and then gets
 * its name.
 *
 * @param write makes the file at the path it is given.
 * @throws PreconditionError `FORMAT_REFUSED` if there is something in the folder; what {@link toStoreError} makes of the rest.
 */
export async function writeStoreFolder(folder: string, write: (path: string) => Promise<void>): Promise<void> {
  try {
    await makeFolder(dirname(folder));
    const temporary = await mkdtemp(`${folder}.`);
    try {
      const path = join(temporary, fileName);
      await write(path);
      await sync(path);
      await sync(temporary);
      await assertEmpty(folder);
      await rename(temporary, folder);
      await sync(dirname(folder));
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    throw toStoreError(error, folder);
  }
}

/**
 * Puts a snapshot in the place of a store: copies it to a folder that has none. (A snapshot can also be opened where it is.)
 *
 * @throws NotFoundError `FILE_NOT_FOUND` if there is no snapshot; PreconditionError `FORMAT_REFUSED` if the folder is not
 * empty: move what is there away first.
 */
export async function restoreSnapshot(snapshot: string, folder: string): Promise<void> {
  await assertSnapshot(snapshot, "snapshot");
  await writeStoreFolder(folder, (path) => copyFile(join(snapshot, fileName), path, constants.COPYFILE_FICLONE));
}

/**
 * Asserts that there is a store, or a snapshot of one, in a folder.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` if there is none.
 */
export async function assertSnapshot(folder: string, what: "store" | "snapshot"): Promise<void> {
  const names: readonly string[] = await readdir(folder).catch(() => []);
  if (names.includes(fileName)) return;
  const message = `"${folder}" is no ${what}: it has no file ${fileName}; check the path`;
  throw new NotFoundError("FILE_NOT_FOUND", message, { path: folder });
}

/** An empty folder may be there: renaming replaces it. */
async function assertEmpty(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (found.length === 0) return;
  const message = `"${folder}" is not empty; name a new folder, or move what is there away`;
  throw new PreconditionError("FORMAT_REFUSED", message, { folder });
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
