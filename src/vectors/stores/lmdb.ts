import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { UnavailableError } from "../../errors/probestream-error.js";
import type { Hit, VectorQueries, VectorStore } from "../vector-store.js";
import type { LogCalls, SearchCalls } from "./lmdb/messages.js";
import { unpackHits } from "./lmdb/pack-hits.js";
import { packRecords } from "./lmdb/pack-records.js";
import { fileName, prepareFolder } from "./lmdb/prepare-folder.js";
import { writeStoreFolder } from "./lmdb/snapshot.js";
import { toStoreError } from "./lmdb/to-store-error.js";
import { createWorkerLink, type WorkerLink } from "./lmdb/worker-link.js";

/** How an embedded store works. */
export interface LmdbStoreOptions {
  /** Threads of arithmetic in a search. Default: all cores that the process may use. */
  readonly threads?: number;
  /**
   * How long `close` lets searches that have begun go on, in milliseconds; after that they are given up with
   * `SHUTTING_DOWN`. Default 5,000.
   */
  readonly drainMs?: number;
  /**
   * Whether searches are to be expected: the thread that searches starts at once and reads what it keeps in memory, and not
   * with the first of them. Default true.
   */
  readonly willSearch?: boolean;
}

/** A store in a folder of this machine. */
export interface LmdbStore extends VectorStore {
  /**
   * Copies the store as it is now to another folder, beside reads and writes, without the room that it does not need. The
   * copy is a store: open it there, or bring it back with `restoreSnapshot`.
   *
   * @throws PreconditionError `FORMAT_REFUSED` if there is something in that folder.
   */
  snapshot(folder: string): Promise<void>;
}

/** The threads of a store load these modules. */
const logModule = new URL("./lmdb/log-worker.js", import.meta.url);
const searchModule = new URL("./lmdb/search-worker.js", import.meta.url);

/**
 * Opens the embedded store: records lie in an lmdb database in a folder, and are searched exactly, by one product of the
 * queries with all representations in memory. Nothing of it runs on the caller's thread but a first look at the folder, which
 * refuses most that cannot be one at once: one worker thread reads and writes the database, another keeps the
 * representations and searches.
 *
 * Several processes may have one folder open. A write is on the disk when its promise resolves, and is found by every
 * search of any process that begins later.
 *
 * Memory: 4 bytes per number of the spaces that are searched, some hundred bytes per record, and what the fields take that
 * filters have named. Only the file itself grows with the rest.
 *
 * `compact` lets new records use the room of old ones, in the file and in memory; it does not make the file smaller, for
 * lmdb gives no page back to the file system. A snapshot is as small as it can be.
 *
 * @param folder is made if it is not there.
 * @throws PreconditionError `FORMAT_REFUSED` for a folder of another version or program; AccessDeniedError `ACCESS_DENIED`;
 * LimitExceededError `LIMIT_EXCEEDED` where the disk is full, as from every write.
 */
export async function openLmdbStore(folder: string, options: LmdbStoreOptions = {}): Promise<LmdbStore> {
  const path = resolve(folder);
  const { threads = availableParallelism(), drainMs = 5000, willSearch = true } = options;
  assertFolder(path);
  const log = createWorkerLink<LogCalls>(logModule, { folder: path }, "keeps the catalogue");
  const searcher = createWorkerLink<SearchCalls>(searchModule, { folder: path, threads }, "searches the catalogue");
  const searches: Searches = new Set();
  await (willSearch ? warm(path, log, searcher) : log.start()).catch(async (error: unknown) => {
    await Promise.all([log.close(), searcher.close()]);
    throw error;
  });
  return {
    description: `lmdb at ${path}`,
    ensureSpace: (spec, { fill = false } = {}) => log.call("ensureSpace", { spec, fill }),
    // It keeps counts, so that they cost nothing.
    listSpaces: async () =>
      (await log.call("countSpaces", null)).map(({ count, indexed, ...space }) => ({ ...space, isEmpty: count === 0 })),
    countSpaces: () => log.call("countSpaces", null),
    switchSpaces: async ({ serve, retire }) => void (await log.call("switchSpaces", { serve, retire })),
    dropSpace: async (spaceId) => void (await log.call("dropSpace", spaceId)),
    upsert: async (spaceId, records, { keepKnown } = {}) => {
      const packed = packRecords(records);
      await log.call("upsert", { spaceId, records: packed, keepKnown }, [packed.vectors.buffer]);
    },
    updateMetadata: (id, patch) => log.call("updateMetadata", { id, patch }),
    delete: (ids, spaceId) => log.call("delete", { ids, spaceId }),
    get: (spaceId, ids, { vectors = true } = {}) => log.call("get", { spaceId, ids, vectors }),
    list: (spaceId, { after, limit, filter }) => log.call("list", { spaceId, range: { after, limit, filter } }),
    findByWeights: (spaceId, hashes) => log.call("findByWeights", { spaceId, hashes }),
    search: (spaceId, queries) => search(searcher, searches, spaceId, queries),
    fields: (spaceId) => log.call("fields", spaceId),
    hasFields: async (spaceId, fields) => {
      const known = await log.call("fields", spaceId);
      return new Set(fields.filter((field) => known.has(field)));
    },
    compact: async () => void (await log.call("compact", null)),
    snapshot: (target) => writeStoreFolder(resolve(target), async (file) => void (await log.call("snapshot", file))),
    close: async () => {
      const timer = setTimeout(() => giveUp(searches), drainMs);
      try {
        await Promise.all([log.close(), searcher.close()]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Spares the threads, which look again, where they could only fail. */
function assertFolder(path: string): void {
  try {
    prepareFolder(path);
  } catch (error) {
    throw toStoreError(error, path);
  }
}

/** Starts the threads, both at once where there is something to search, and lets it be read. */
async function warm(path: string, log: WorkerLink<LogCalls>, searcher: WorkerLink<SearchCalls>): Promise<void> {
  const starting = existsSync(join(path, fileName)) ? searcher.start() : undefined;
  // What is wrong with the folder the other thread tells as well.
  starting?.catch(() => {});
  const spaces = await log.call("countSpaces", null);
  // An empty store need not wait for a thread that has nothing to read.
  if (spaces.some(({ count, state }) => count > 0 && state === "serving")) await searcher.call("warm", null);
}

/** Searches that somebody waits for: each is given up with the reason it is called with. */
type Searches = Set<(reason: unknown) => void>;

function giveUp(searches: Searches): void {
  const reason = new UnavailableError("SHUTTING_DOWN", "the catalogue was closed during the search; open it again");
  for (const leave of [...searches]) leave(reason);
}

async function search(
  searcher: WorkerLink<SearchCalls>,
  searches: Searches,
  spaceId: string,
  { vectors, k, filter, minCosine, signal }: VectorQueries,
): Promise<readonly (readonly Hit[])[]> {
  signal?.throwIfAborted();
  const gone = new Int32Array(new SharedArrayBuffer(4));
  const copy = vectors.slice();
  const answer = searcher.call("search", { spaceId, vectors: copy, k, filter, minCosine, gone }, [copy.buffer]);
  // The worker looks between two products; who has gone does not wait for that.
  let leave = (_reason: unknown): void => {};
  const left = new Promise<never>((_, reject) => {
    leave = (reason) => {
      Atomics.store(gone, 0, 1);
      reject(reason);
    };
  });
  const onAbort = (): void => leave(signal?.reason);
  searches.add(leave);
  signal?.addEventListener("abort", onAbort);
  try {
    return unpackHits(await Promise.race([answer, left]));
  } finally {
    answer.catch(() => {});
    searches.delete(leave);
    signal?.removeEventListener("abort", onAbort);
  }
}
