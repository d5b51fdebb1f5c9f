import { resolve } from "node:path";
import { toProbestreamError } from "../errors/plain-error.js";
import { findModels } from "../weights/find-models.js";
import { isHttpUrl } from "../weights/http-url.js";
import type { Failure } from "./failures.js";

/** Models that the arguments of a command stand for. */
export interface Found {
  readonly locations: readonly string[];
  /** Arguments, or folders in them, that could not be read. */
  readonly failures: readonly Failure[];
}

/** Lists all models under paths and URLs, each once. An argument that cannot be read does not stop the others. */
export async function findLocations(paths: readonly string[], signal: AbortSignal): Promise<Found> {
  const locations = new Map<string, string>();
  const failures: Failure[] = [];
  for (const path of paths) {
    try {
      for await (const location of findModels([path], signal)) {
        locations.set(isHttpUrl(location) ? location : resolve(location), location);
      }
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ file: path, error: toProbestreamError(error) });
    }
  }
  return { locations: [...locations.values()], failures };
}
