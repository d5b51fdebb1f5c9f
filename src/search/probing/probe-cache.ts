import { access } from "node:fs/promises";
import { join } from "node:path";
import { AccessDeniedError, CorruptDataError, NotFoundError } from "../../errors/probestream-error.js";
import type { Catalogue } from "../../experts/catalogue.js";
import type { Expert } from "../../experts/expert.js";
import type { ExpertProbes } from "../../experts/expert-probes.js";
import { encodeProbes, readProbesFile } from "../../experts/probes-file.js";
import { makeFolder } from "../../system/make-folder.js";
import { replaceFile } from "../../system/replace-file.js";
import type { ProbingServer } from "./probing-server.js";
import { toProbedExpert } from "./to-probed-expert.js";

/** Probes on this machine, each file an expert to project for. */
export interface ProbeCache {
  /** The experts whose probes are here and were checked by this process. */
  readonly catalogue: Catalogue;
  /**
   * Sees to it that the probes of some experts are here. They are fetched once and kept under the space id, which says what
   * they are; files are checked, and one that is damaged or gone is fetched anew.
   *
   * @throws what {@link ProbingServer.probes} throws; AccessDeniedError `ACCESS_DENIED` if the folder cannot be written;
   * InvalidInputError as `parseProbes`.
   */
  ensure(spaceIds: readonly string[], signal?: AbortSignal): Promise<void>;
}

/**
 * Opens a folder of probes, which several processes may share.
 *
 * Memory: probes while they are fetched or checked.
 *
 * @throws AccessDeniedError `ACCESS_DENIED` if the folder is not there and cannot be made.
 */
export async function openProbeCache(server: Pick<ProbingServer, "probes">, folder: string): Promise<ProbeCache> {
  await inFolder(folder, () => makeFolder(folder));
  const known = new Map<string, Expert>();
  // One after another: who waits for the same probes then finds them.
  let turn: Promise<unknown> = Promise.resolve();

  /** Whether usable probes are here. What was checked is not read again, but others may have emptied the folder. */
  const look = async (spaceId: string, signal: AbortSignal | undefined): Promise<boolean> => {
    const file = fileOf(folder, spaceId);
    try {
      if (known.has(spaceId)) {
        await access(file);
        return true;
      }
      const probes = await readProbesFile(file, signal);
      if (probes.spaceId !== spaceId) return false;
      known.set(spaceId, toProbedExpert(probes, file));
      return true;
    } catch {
      // Not there, damaged or another version's: fetched, which says what is wrong if that fails too.
      signal?.throwIfAborted();
      return false;
    }
  };

  const keep = async (probes: ExpertProbes): Promise<void> => {
    const file = fileOf(folder, probes.spaceId);
    const expert = toProbedExpert(probes, file);
    await inFolder(folder, async () => {
      await makeFolder(folder);
      await replaceFile(file, encodeProbes(probes));
    });
    known.set(probes.spaceId, expert);
  };

  const fetchMissing = async (spaceIds: readonly string[], signal: AbortSignal | undefined): Promise<void> => {
    const missing: string[] = [];
    for (const spaceId of new Set(spaceIds)) if (!(await look(spaceId, signal))) missing.push(spaceId);
    if (missing.length === 0) return;
    for (const probes of await server.probes(missing, signal)) await keep(probes);
  };

  const list = async (): Promise<readonly Expert[]> => [...known.values()];
  return {
    catalogue: {
      list: async () => ({ experts: await list(), unusable: [] }),
      recent: list,
      get: async (spaceId) => {
        const expert = known.get(spaceId);
        if (expert !== undefined) return expert;
        const message = `there are no probes of the expert ${spaceId.slice(0, 80)} here; plan before projecting`;
        throw new NotFoundError("EXPERT_NOT_FOUND", message, { expert: spaceId.slice(0, 80) });
      },
    },
    ensure: (spaceIds, signal) => {
      const mine = turn.then(() => fetchMissing(spaceIds, signal));
      turn = mine.catch(() => {});
      return mine;
    },
  };
}

/** The file of an expert's probes. What a server calls a space id must not lead out of the folder. */
function fileOf(folder: string, spaceId: string): string {
  if (/^[0-9a-f]{64}$/.test(spaceId)) return join(folder, `${spaceId}.safetensors`);
  const message = `the server calls an expert ${JSON.stringify(spaceId.slice(0, 80))}; a space id has 64 digits of 0-9 and a-f`;
  throw new CorruptDataError("CORRUPT", message);
}

async function inFolder(folder: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    const message = `probes could not be written to "${folder}" (${code}); check its rights and room, or choose another folder (the option probes or cacheFolder, or XDG_CACHE_HOME)`;
    throw new AccessDeniedError("ACCESS_DENIED", message, { path: folder, code }, { cause });
  }
}
