import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it that are missing. Not `mkdir` with `recursive`: where a file system lets nobody make folders
 * and says that there is no such one, /proc does, it tries for ever (Node 20).
 *
 * @throws the file system's error, `EEXIST` where something else has the name, `ENOTDIR` where that is above it.
 */
export async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(folder);
  try {
    await mkdir(folder);
  } catch (error) {
    if (await isFolder(folder)) return;
    if (!isMissing(error) || parent === folder) throw error;
    await makeFolder(parent);
    await mkdir(folder).catch(async (again: unknown) => {
      // Another process may have been faster.
      if (!(await isFolder(folder))) throw again;
    });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
