import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ProbestreamError } from "../errors/probestream-error.js";
import { INDEX_SUFFIX, MAX_INDEX_BYTES, parseModelIndex } from "./model-index.js";
import { toFileError } from "./to-file-error.js";

/** One thing of a folder that matters here. */
export interface FolderEntry {
  readonly path: string;
  readonly kind: "model" | "folder";
}

/** How Hugging Face names the shards of a model. */
const SHARD_NAME = /-\d{5}-of-\d{5}\.safetensors$/;

/**
 * The models that lie directly in a folder, and the folders in it, sorted by name. An index stands for its shards.
 * Hidden entries and links that lead nowhere are left out.
 *
 * @throws AccessDeniedError `ACCESS_DENIED`, NotFoundError `FILE_NOT_FOUND`.
 */
export async function listFolder(folder: string): Promise<FolderEntry[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) =>
    Promise.reject(toFileError(cause, folder)),
  );
  const visible = entries.filter(({ name }) => !name.startsWith("."));
  const names = visible.map(({ name }) => name).sort();
  const indexes = names.filter((name) => name.endsWith(INDEX_SUFFIX));
  const shards = new Set<string>();
  for (const index of indexes) for (const shard of await readShardNames(join(folder, index), names)) shards.add(shard);

  const kinds = new Map(visible.map((entry) => [entry.name, entry]));
  const found: FolderEntry[] = [];
  for (const name of names) {
    const entry = kinds.get(name);
    const isModelName = name.endsWith(INDEX_SUFFIX) || (name.endsWith(".safetensors") && !shards.has(name));
    // Only where it matters: a stat for each of 100,000 entries would take longer than all the rest.
    if (entry === undefined || !(isModelName || entry.isDirectory() || entry.isSymbolicLink())) continue;
    const path = join(folder, name);
    const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    if (target?.isDirectory()) found.push({ path, kind: "folder" });
    else if (target?.isFile() && isModelName) found.push({ path, kind: "model" });
  }
  return found;
}

/** Shards that an index names; of a damaged index, whose error belongs to its opening, all that look like shards. */
async function readShardNames(path: string, names: readonly string[]): Promise<readonly string[]> {
  try {
    const { size } = await stat(path);
    if (size <= MAX_INDEX_BYTES) return parseModelIndex(await readFile(path), path).shards;
  } catch (error) {
    if (!(error instanceof ProbestreamError || (error instanceof Error && "code" in error))) throw error;
  }
  return names.filter((name) => SHARD_NAME.test(name));
}
