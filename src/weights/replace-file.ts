import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";

/**
 * Writes a file whole: whenever the process ends or the machine loses its power, it holds the old content or the new one.
 * Throws what the file system throws, and leaves nothing beside the file then.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const unfinished = `${path}.${randomUUID()}`;
  try {
    // A file that is renamed before its content is on the disk may be empty after a power cut.
    await writeFile(unfinished, content, { flush: true });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw error;
  }
}
