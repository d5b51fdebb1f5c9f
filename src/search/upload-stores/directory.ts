import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CorruptDataError } from "../../errors/probestream-error.js";
import { encodeUploadState, parseUploadState, type UploadState } from "../upload-state.js";
import { defaultExpiryMs, type UploadStore } from "../upload-store.js";

/** How often expired uploads are looked for, in milliseconds. */
const sweepEveryMs = 10 * 60 * 1000;

/** Files end so; anything else in the folder is left alone. */
const extension = ".upload";

/**
 * Keeps unfinished uploads in a folder, one file each, so that they survive a restart and can be shared by the
 * processes of one server. A file is replaced by renaming: whenever the process dies, the old or the new one is there.
 */
export async function openDirectoryUploadStore(
  folder: string,
  options: { readonly expiryMs?: number } = {},
): Promise<UploadStore> {
  const { expiryMs = defaultExpiryMs } = options;
  await mkdir(folder, { recursive: true });
  // Ids come from outside: they are hashed rather than used as file names.
  const pathOf = (id: string): string =>
    join(folder, `${createHash("sha256").update(id).digest("hex").slice(0, 40)}${extension}`);

  const sweep = async (): Promise<void> => {
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const age = await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (name.includes(extension) && age > expiryMs) await rm(path, { force: true });
    }
  };
  await sweep();
  const timer = setInterval(() => void sweep().catch(() => {}), sweepEveryMs);
  timer.unref();

  return {
    memoryBytes: 0,
    load: async (id) => {
      const path = pathOf(id);
      const stats = await stat(path).catch(() => undefined);
      if (stats === undefined || Date.now() - stats.mtimeMs > expiryMs) return undefined;
      const bytes = await readFile(path).catch(() => undefined);
      return bytes === undefined ? undefined : parseOrForget(bytes, path);
    },
    save: async (id, state) => {
      const path = pathOf(id);
      const temporary = `${path}.${randomUUID()}`;
      await writeFile(temporary, encodeUploadState(state));
      await rename(temporary, path);
    },
    remove: async (id) => rm(pathOf(id), { force: true }),
    close: async () => clearInterval(timer),
  };
}

/** A damaged file counts as none: the upload starts again at 0. */
async function parseOrForget(bytes: Uint8Array, path: string): Promise<UploadState | undefined> {
  try {
    return await parseUploadState(bytes, path);
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error;
    await rm(path, { force: true });
    return undefined;
  }
}
