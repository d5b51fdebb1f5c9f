import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ProbestreamError } from "../errors/probestream-error.js";
import { isCheckpointName, isTorchIndexName, toTwinNames } from "./checkpoint-name.js";
import { mapConcurrently } from "./map-concurrently.js";
import { INDEX_SUFFIX, MAX_INDEX_BYTES, parseModelIndex } from "./model-index.js";
import { FORMAT_PREFIX_BYTES, isTorchArchive } from "./refused-formats.js";
import { toFileError } from "./to-file-error.js";

/** One thing of a folder that matters here. */
export interface FolderEntry {
  readonly path: string;
  /** A model is safetensors, a checkpoint PyTorch's. */
  readonly kind: "model" | "checkpoint" | "folder";
}

/** Checkpoints of which the beginnings are read at a time. */
const beginningsAtOnce = 16;

/** How Hugging Face names the shards of a model, before the extension. */
const SHARD_NAME = /-\d{5}-of-\d{5}$/;

/**
 * The models that lie directly in a folder, and the folders in it, sorted by name. An index stands for its shards.
 * Hidden entries and links that lead nowhere are left out.
 *
 * A file is a checkpoint if it has an extension of PyTorch's, begins as a zip with a pickle, is called nothing that only
 * trainers save (`optimizer.pt`, say), and no safetensors model of its name lies beside it.
 *
 * @throws AccessDeniedError `ACCESS_DENIED`, NotFoundError `FILE_NOT_FOUND`.
 */
export async function listFolder(folder: string): Promise<FolderEntry[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) =>
    Promise.reject(toFileError(cause, folder)),
  );
  const visible = entries.filter(({ name }) => !name.startsWith("."));
  const names = visible.map(({ name }) => name).sort();
  const given = new Set(names);
  const isAlone = (name: string): boolean => !toTwinNames(name).some((twin) => given.has(twin));
  const isIndex = (name: string): boolean => name.endsWith(INDEX_SUFFIX) || (isTorchIndexName(name) && isAlone(name));
  const shards = new Set<string>();
  for (const index of names.filter(isIndex)) {
    for (const shard of await readShardNames(join(folder, index), names)) shards.add(shard);
  }
  const kindOf = (name: string): "model" | "checkpoint" | undefined => {
    if (isIndex(name)) return name.endsWith(INDEX_SUFFIX) ? "model" : "checkpoint";
    if (shards.has(name)) return undefined;
    if (name.endsWith(".safetensors")) return "model";
    return isCheckpointName(name) && isAlone(name) ? "checkpoint" : undefined;
  };
  const entryOf = new Map(visible.map((entry) => [entry.name, entry]));
  const found = await mapConcurrently(names, beginningsAtOnce, async (name): Promise<FolderEntry | undefined> => {
    const entry = entryOf.get(name);
    const kind = kindOf(name);
    // Only where it matters: a stat for each of 100,000 entries would take longer than all the rest.
    if (entry === undefined || !(kind !== undefined || entry.isDirectory() || entry.isSymbolicLink())) return undefined;
    const path = join(folder, name);
    const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    if (target?.isDirectory()) return { path, kind: "folder" };
    if (kind === undefined || target?.isFile() !== true) return undefined;
    return kind === "model" || isIndex(name) || (await beginsAsCheckpoint(path)) ? { path, kind } : undefined;
  });
  return found.filter((entry) => entry !== undefined);
}

/** Whether a file begins as PyTorch's do. One that cannot be read may: its error belongs to its opening. */
async function beginsAsCheckpoint(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return true;
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(FORMAT_PREFIX_BYTES));
    return isTorchArchive(buffer.subarray(0, bytesRead));
  } catch {
    return true;
  } finally {
    await file.close();
  }
}

/** Shards that an index names; of a damaged index, whose error belongs to its opening, all that look like shards. */
async function readShardNames(path: string, names: readonly string[]): Promise<readonly string[]> {
  try {
    const { size } = await stat(path);
    if (size <= MAX_INDEX_BYTES) return parseModelIndex(await readFile(path), path).shards;
  } catch (error) {
    if (!(error instanceof ProbestreamError || (error instanceof Error && "code" in error))) throw error;
  }
  const extension = path.endsWith(INDEX_SUFFIX) ? ".safetensors" : ".bin";
  return names.filter((name) => name.endsWith(extension) && SHARD_NAME.test(name.slice(0, -extension.length)));
}
