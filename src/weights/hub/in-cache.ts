import { UnavailableError } from "../../errors/probestream-error.js";

/**
 * Does something to the cache's files.
 *
 * @throws UnavailableError `SOURCE_UNAVAILABLE` where the file system refuses, with what to do.
 */
export async function inCache<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    const message = `"${path}" could not be written (${code}); check the rights and the room of the cache folder, or set HF_HUB_CACHE to another`;
    throw new UnavailableError("SOURCE_UNAVAILABLE", message, { path, code }, { cause });
  }
}
