import { findModels } from "../weights/find-models.js";
import type { Failure } from "./failures.js";

/** Models that the arguments of a command stand for. */
export interface Found {
  readonly locations: readonly string[];
  /** Arguments, and folders in them, that could not be read. */
  readonly failures: readonly Failure[];
}

/** Lists all models under paths and URLs, each once. What cannot be read does not stop the others. */
export async function findLocations(paths: readonly string[], signal: AbortSignal): Promise<Found> {
  const locations: string[] = [];
  const failures: Failure[] = [];
  const onUnreadable = (file: string, error: Failure["error"]): void => {
    failures.push({ file, error });
  };
  for await (const location of findModels(paths, { signal, onUnreadable })) locations.push(location);
  return { locations, failures };
}
