import { NotFoundError, UnavailableError } from "../../errors/probestream-error.js";
import { mapConcurrently } from "../map-concurrently.js";
import { downloadBlob } from "./download-blob.js";
import type { ContentFacts } from "./hub-answers.js";
import { HubCache } from "./hub-cache.js";
import { HubClient, type HubClientOptions } from "./hub-client.js";
import type { HubModel } from "./hub-model.js";
import { chooseFiles, describeFiles, toCandidates, type WantedFiles } from "./wanted-files.js";

/** How files of a model are fetched. */
export interface HubDownloadOptions extends HubClientOptions {
  /** The Hub's cache: what its own tools take from `HF_HUB_CACHE`. */
  readonly cacheFolder: string;
  /** The Hub is not asked. Default false. */
  readonly isOffline?: boolean | undefined;
  /** Hears how far a download is. */
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
}

/** How far a download is. */
export interface HubProgress {
  /** The file that is coming in. */
  readonly file: string;
  /** Of all files that were not there. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Files of a model, on this machine. */
export interface HubSnapshot {
  /** Holds the files by their paths. */
  readonly folder: string;
  readonly commit: string;
  /** Files of which it is not known whether the model has them: they are not here, and the Hub could not be asked. */
  readonly unknown: readonly string[];
}

/** How many files are asked about at once. */
const maxRequests = 4;

/**
 * Fetches files of a model from the Hugging Face Hub to the Hub's cache, or finds them there. What is there whole is used
 * without asking the Hub, whatever its branches have become since; a download that was cut goes on where it was, and every
 * file's checksum is held against the Hub's.
 *
 * Memory: little, whatever the files' sizes.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` if there is no such model, revision or file, AccessDeniedError `ACCESS_DENIED`,
 * CorruptDataError `DIGEST_MISMATCH` for a file that is not what the Hub says, UnavailableError `SOURCE_UNAVAILABLE` if
 * the Hub cannot be reached and the files are not there; it says where to put them. The reason of the signal.
 */
export async function downloadModelFiles(
  model: HubModel,
  wanted: WantedFiles,
  options: HubDownloadOptions,
): Promise<HubSnapshot> {
  const cache = new HubCache(options.cacheFolder, model);
  const client = new HubClient(model, options);
  const cached = await findCached(cache, wanted);
  if (cached?.unknown.length === 0) return cached;
  if (options.isOffline === true) {
    if (cached !== undefined) return cached;
    throw explain(model, wanted, cache, client, "offline mode is on (HF_HUB_OFFLINE)");
  }
  try {
    return await fetchFiles(model, wanted, cache, client, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof UnavailableError) || error.reason !== "SOURCE_UNAVAILABLE") throw error;
    if (cached !== undefined) return cached;
    throw explain(model, wanted, cache, client, error.message, error);
  }
}

/** The files in the cache; undefined if one that is needed is not there. */
async function findCached(cache: HubCache, wanted: WantedFiles): Promise<HubSnapshot | undefined> {
  const commit = await cache.readCommit();
  if (commit === undefined) return undefined;
  const present = new Set<string>();
  const unknown = new Set<string>();
  const ask = async (path: string): Promise<void> => {
    const state = await cache.readState(commit, path);
    if (state === "present") present.add(path);
    if (state === "unknown") unknown.add(path);
  };
  await Promise.all(toCandidates(wanted).map(ask));
  const chosen = chooseFiles(wanted, present);
  if ("missing" in chosen) return undefined;
  return {
    folder: cache.snapshot(commit),
    commit,
    unknown: chosen.decisive.filter((path) => unknown.has(path)),
  };
}

async function fetchFiles(
  model: HubModel,
  wanted: WantedFiles,
  cache: HubCache,
  client: HubClient,
  { signal, onProgress = () => {} }: HubDownloadOptions,
): Promise<HubSnapshot> {
  const { commit, files } = await client.readRevision();
  const chosen = chooseFiles(wanted, files);
  if ("missing" in chosen) {
    const message = `${model.name} has no file ${chosen.missing.anyOf.join(" or ")} on ${client.endpoint}; ${wanted.remedy}`;
    throw new NotFoundError("FILE_NOT_FOUND", message, { model: model.name });
  }
  const list = await mapConcurrently(chosen.files, maxRequests, async (path) => {
    const isThere = (await cache.readState(commit, path)) === "present";
    return { path, facts: isThere ? undefined : await client.readFacts(commit, path) };
  });
  const todo: { readonly path: string; readonly facts: ContentFacts }[] = [];
  for (const { path, facts } of list) {
    if (facts === undefined) continue;
    if (await cache.hasBlob(facts.digest)) await cache.link(commit, path, facts.digest);
    else todo.push({ path, facts });
  }
  const bytesTotal = todo.reduce((sum, { facts }) => sum + facts.size, 0);
  let bytesBefore = 0;
  for (const { path, facts } of todo) {
    signal?.throwIfAborted();
    await downloadBlob(client, {
      ...facts,
      url: client.toUrl(commit, path),
      path: cache.blob(facts.digest),
      onBytes: (bytes) => onProgress({ file: path, bytesDone: bytesBefore + bytes, bytesTotal }),
    });
    bytesBefore += facts.size;
    await cache.link(commit, path, facts.digest);
  }
  for (const path of chosen.decisive) if (!files.has(path)) await cache.markAbsent(commit, path);
  // Last, so that a revision that is known is whole.
  await cache.writeCommit(commit);
  return { folder: cache.snapshot(commit), commit, unknown: [] };
}

/** What to do where the Hub is out of reach. */
function explain(
  { name, revision }: HubModel,
  wanted: WantedFiles,
  cache: HubCache,
  client: HubClient,
  why: string,
  cause?: unknown,
): UnavailableError {
  const message = [
    `The files of ${name} are not in ${cache.folder}, and could not be fetched: ${why.replace(/\.$/, "")}.`,
    `Where ${client.endpoint} can be reached, download from ${client.endpoint}/${name}/tree/${revision}`,
    `${describeFiles(wanted)}. Put them into one folder, each at its path there, and give that folder in place of the id.`,
  ].join(" ");
  return new UnavailableError("SOURCE_UNAVAILABLE", message, { model: name, folder: cache.folder }, { cause });
}
