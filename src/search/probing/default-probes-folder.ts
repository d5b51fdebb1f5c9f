import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where probes are kept if nothing else is said: `probestream/probes` in the user's cache folder. All clients of this machine
 * share it.
 *
 * @param cacheHome the user's cache folder, as `XDG_CACHE_HOME` says it; empty for `~/.cache`.
 */
export function defaultProbesFolder(cacheHome = ""): string {
  return join((cacheHome || "~/.cache").replace(/^~(?=\/|$)/, homedir()), "probestream", "probes");
}
