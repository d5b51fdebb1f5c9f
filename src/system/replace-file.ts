import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";

/**
 * Writes a file whole: whenever the process ends or the machine loses its power, it holds the old content or the new one.
 * Throws what the file system throws, and leaves nothing beside the file then.
 *
 * @param options.flush waits until the content is on the disk. Without, a power cut may leave an empty file. Default true.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  { flush = true }: { readonly flush?: boolean } = {},
): Promise<void> {
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await writeFile(unfinished, content, { flush });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw error;
  }
}
