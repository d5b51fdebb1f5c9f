import { readdir } from "node:fs/promises";
import { findModels } from "../weights/find-models.js";
import { foreignExtensionOf } from "../weights/refused-formats.js";
import { toCount } from "./embed-report.js";
import { CommandError, exitCodes } from "./exit-codes.js";
import type { Failure } from "./failures.js";

/** Models that the arguments of a command stand for. */
export interface Found {
  readonly locations: readonly string[];
  /** Arguments, and folders in them, that could not be read. */
  readonly failures: readonly Failure[];
}

/**
 * Lists all models under paths and URLs, each once. What cannot be read does not stop the others.
 *
 * @throws CommandError if there is neither a model nor anything that could not be read; it names what else is there.
 */
export async function findLocations(paths: readonly string[], signal: AbortSignal): Promise<Found> {
  const locations: string[] = [];
  const failures: Failure[] = [];
  const onUnreadable = (file: string, error: Failure["error"]): void => {
    failures.push({ file, error });
  };
  for await (const location of findModels(paths, { signal, onUnreadable })) locations.push(location);
  if (locations.length === 0 && failures.length === 0) throw await noModel(paths);
  return { locations, failures };
}

async function noModel(folders: readonly string[]): Promise<CommandError> {
  const counts = new Map<string, number>();
  for (const folder of folders) {
    const names = await readdir(folder, { recursive: true }).catch(() => []);
    for (const name of names) {
      const extension = foreignExtensionOf(name);
      if (extension !== undefined) counts.set(extension, (counts.get(extension) ?? 0) + 1);
    }
  }
  const others = [...counts].sort().map(([extension, count]) => toCount(count, `.${extension} file`));
  const advice = others.length === 0 ? "" : `, but ${others.join(", ")}; \`inspect FILE\` says how to convert one`;
  return new CommandError(
    `no .safetensors file and no PyTorch checkpoint in ${folders.join(", ")}${advice}`,
    exitCodes.unusable,
  );
}
