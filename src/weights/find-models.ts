import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { isHttpUrl } from "./http-url.js";
import { listFolder } from "./list-folder.js";
import { toFileError } from "./to-file-error.js";

/**
 * Finds the models that paths and URLs stand for, as locations for `openModel`, each once. A file or URL is itself,
 * whatever it is called; a folder is walked with all folders in it, in the order of names: an index counts as one
 * model and its shards not at all, every other `.safetensors` file as one. Hidden entries are skipped, and a folder
 * that links lead to again is walked once. Pickled files are not listed.
 *
 * Memory: the names of one folder per level, and the locations given out.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` for a path that does not exist, AccessDeniedError `ACCESS_DENIED`.
 */
export async function* findModels(
  paths: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const given = new Set<string>();
  const walked = new Set<string>();
  for (const path of paths) {
    const models = isHttpUrl(path) ? [path] : findUnder(path, walked, signal);
    for await (const model of models) {
      const key = isHttpUrl(model) ? model : resolve(model);
      if (given.has(key)) continue;
      given.add(key);
      yield model;
    }
  }
}

async function* findUnder(
  path: string,
  walked: Set<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const stats = await stat(path).catch((cause: unknown) => Promise.reject(toFileError(cause, path)));
  if (stats.isDirectory()) yield* walk(path, walked, signal);
  else yield path;
}

async function* walk(
  folder: string,
  walked: Set<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  signal?.throwIfAborted();
  const real = await realpath(folder).catch((cause: unknown) => Promise.reject(toFileError(cause, folder)));
  if (walked.has(real)) return;
  walked.add(real);
  for (const { path, kind } of await listFolder(folder)) {
    signal?.throwIfAborted();
    if (kind === "folder") yield* walk(path, walked, signal);
    else yield path;
  }
}
