import type { Stats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { InvalidInputError, ProbestreamError } from "../errors/probestream-error.js";
import { findScheme, isHttpUrl } from "./http-url.js";
import { type FolderEntry, listFolder } from "./list-folder.js";
import { toFileError } from "./to-file-error.js";

/** How models are looked for. */
export interface FindModelsOptions {
  /** Ends the search; the generator then throws its reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Hears of each path or folder that cannot be read, and why; the search goes on with the rest. Without it the first
   * one is thrown, and the search is over.
   */
  readonly onUnreadable?: ((path: string, error: ProbestreamError) => void) | undefined;
}

/**
 * Finds the models that paths and URLs stand for, as locations for `openModel`, each once. A file or URL is itself,
 * whatever it is called; a folder is walked with all folders in it, in the order of names: an index counts as one
 * model and its shards not at all, every other `.safetensors` file as one. So does every PyTorch checkpoint (`.bin`,
 * `.pt`, `.pth`, `.ckpt`) of PyTorch 1.6 and later beside which no safetensors file of its name lies, but for what only
 * trainers save. Hidden entries are skipped, and a folder that links lead to again is walked once.
 *
 * Memory: the names of one folder per level, and the locations given out.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` for a path that does not exist, InvalidInputError
 * `FIELD_INVALID` for a URL of another scheme, AccessDeniedError `ACCESS_DENIED`,
 * UnavailableError `SOURCE_UNAVAILABLE`; none of them where `onUnreadable` takes them.
 */
export async function* findModels(
  paths: readonly string[],
  options: FindModelsOptions = {},
): AsyncGenerator<string, void, undefined> {
  const given = new Set<string>();
  const search: Search = { ...options, walked: new Set() };
  for (const path of paths) {
    const models = isHttpUrl(path) ? [path] : findUnder(path, search);
    for await (const model of models) {
      const key = isHttpUrl(model) ? model : resolve(model);
      if (given.has(key)) continue;
      given.add(key);
      yield model;
    }
  }
}

interface Search extends FindModelsOptions {
  /** Real paths of the folders so far. */
  readonly walked: Set<string>;
}

async function* findUnder(path: string, search: Search): AsyncGenerator<string, void, undefined> {
  const stats = await orTell(path, search, () => statPath(path));
  if (stats?.isDirectory()) yield* walk(path, search);
  else if (stats !== undefined) yield path;
}

async function statPath(path: string): Promise<Stats> {
  return stat(path).catch((cause: unknown) => {
    if (findScheme(path) === undefined) throw cause;
    const message = `"${path}" is no path that exists; only http(s) URLs and paths are read.`;
    throw new InvalidInputError("FIELD_INVALID", message, {}, { cause });
  });
}

async function* walk(folder: string, search: Search): AsyncGenerator<string, void, undefined> {
  const { signal, walked } = search;
  signal?.throwIfAborted();
  const entries = await orTell(folder, search, async (): Promise<readonly FolderEntry[]> => {
    const real = await realpath(folder);
    if (walked.has(real)) return [];
    walked.add(real);
    return listFolder(folder);
  });
  for (const { path, kind } of entries ?? []) {
    signal?.throwIfAborted();
    if (kind === "folder") yield* walk(path, search);
    else yield path;
  }
}

/** What reading gives; undefined where it fails and somebody hears of it. */
async function orTell<T>(path: string, { onUnreadable }: Search, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (cause) {
    const error = cause instanceof ProbestreamError ? cause : toFileError(cause, path);
    if (onUnreadable === undefined) throw error;
    onUnreadable(path, error);
    return undefined;
  }
}
