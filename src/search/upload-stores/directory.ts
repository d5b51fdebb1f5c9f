import { createHash } from "node:crypto";
import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { CorruptDataError } from "../../errors/probestream-error.js";
import { makeFolder } from "../../system/make-folder.js";
import { replaceFile } from "../../system/replace-file.js";
import { encodeUploadState, parseUploadState, type UploadState } from "../upload-state.js";
import { answerGraceMs, defaultExpiryMs, type UploadStore } from "../upload-store.js";

/** How often expired uploads are looked for, in milliseconds. */
const sweepEveryMs = 10 * 60 * 1000;

/** Bytes of the folder at most by default: some 8,000 uploads at 128 × 128. */
const defaultMaxBytes = 1024 ** 3;

/** Files end so; anything else in the folder is left alone. */
const extension = ".upload";

/**
 * Keeps unfinished uploads in a folder, one file each, so that they survive a restart and can be shared by the
 * processes of one server. A file is replaced by renaming: whenever the process dies, the old or the new one is there.
 * When the folder is full, the files that expire first give way.
 *
 * @param options.expiryMs how long an unfinished upload is kept, in milliseconds. Default {@link defaultExpiryMs}.
 * @param options.maxBytes bytes of all files together, about: processes that share the folder count for themselves
 * between two looks at it. Default 1 GiB.
 */
export async function openDirectoryUploadStore(
  folder: string,
  options: { readonly expiryMs?: number; readonly maxBytes?: number } = {},
): Promise<UploadStore> {
  const { expiryMs = defaultExpiryMs, maxBytes = defaultMaxBytes } = options;
  await makeFolder(folder);
  // Ids come from outside: they are hashed rather than used as file names.
  const pathOf = (id: string): string =>
    join(folder, `${createHash("sha256").update(id).digest("hex").slice(0, 40)}${extension}`);

  // Bytes at the last look, and those written since, replaced ones counted again.
  let bytes = 0;
  let sweeping: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    const kept: { readonly path: string; readonly mtimeMs: number; readonly size: number }[] = [];
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const stats = name.includes(extension) ? await stat(path).catch(() => undefined) : undefined;
      if (stats === undefined) continue;
      if (Date.now() - stats.mtimeMs > expiryMs) await rm(path, { force: true });
      else kept.push({ path, mtimeMs: stats.mtimeMs, size: stats.size });
    }
    bytes = kept.reduce((sum, { size }) => sum + size, 0);
    kept.sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { path, size } of kept) {
      if (bytes <= maxBytes) return;
      await rm(path, { force: true });
      bytes -= size;
    }
  };
  const sweep = (): Promise<void> => {
    sweeping ??= look().finally(() => {
      sweeping = undefined;
    });
    return sweeping;
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
      const encoded = encodeUploadState(state);
      // An empty file counts as none, and streams would wait for the disk.
      await replaceFile(pathOf(id), encoded, { flush: false });
      bytes += encoded.byteLength;
      if (bytes > maxBytes) await sweep();
    },
    remove: async (id) => rm(pathOf(id), { force: true }),
    retire: async (id) => {
      // A file expires by its age: one that is to expire sooner is made older.
      const age = Math.max(0, expiryMs - answerGraceMs);
      const time = (Date.now() - age) / 1000;
      await utimes(pathOf(id), time, time).catch(() => {});
    },
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
