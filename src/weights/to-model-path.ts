import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { isCheckpointName } from "./checkpoint-name.js";
import { listFolder } from "./list-folder.js";
import { quoteName } from "./quote-name.js";
import { toFileError } from "./to-file-error.js";

/** Models that an error lists at most. */
const MAX_LISTED = 8;

/**
 * The file that a path stands for: itself, or the one model of a folder; without any, its one PyTorch checkpoint.
 *
 * @throws NotFoundError `FILE_NOT_FOUND`, InvalidInputError `FIELD_INVALID` for a folder of several models, and as
 * `listFolder`.
 */
export async function toModelPath(path: string): Promise<string> {
  const stats = await stat(path).catch((cause: unknown) => Promise.reject(toFileError(cause, path)));
  if (!stats.isDirectory()) return path;
  const listed = await listFolder(path);
  const of = (wanted: string): string[] => listed.filter(({ kind }) => kind === wanted).map((entry) => entry.path);
  const readable = [of("model"), of("checkpoint")].find((models) => models.length > 0);
  const models = readable ?? (await listCheckpoints(path));
  const [only, ...others] = models;
  if (only === undefined) {
    const message = `"${path}" holds no .safetensors file, no index of shards and no PyTorch checkpoint; name a folder or file that does.`;
    throw new NotFoundError("FILE_NOT_FOUND", message, { path });
  }
  if (others.length === 0) return only;
  const names = models.slice(0, MAX_LISTED).map(quoteName).join(", ");
  const message = `"${path}" holds ${models.length} models; name one of them: ${names}${models.length > MAX_LISTED ? ", …" : ""}.`;
  throw new InvalidInputError("FIELD_INVALID", message, { path, models: models.length });
}

async function listCheckpoints(folder: string): Promise<string[]> {
  // By their names alone: one that is too old to be read says so when it is opened.
  const names = (await readdir(folder)).filter(isCheckpointName);
  return names.sort().map((name) => join(folder, name));
}
