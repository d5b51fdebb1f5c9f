import { setImmediate } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { InternalError } from "../../../errors/probestream-error.js";
import { assertRange } from "../../assert-queries.js";
import { assertPatch } from "../../assert-records.js";
import { compareSpaces } from "../../compare-spaces.js";
import type { VectorRecord } from "../../vector-record.js";
import type { RecordRange } from "../../vector-store.js";
import { trimLog } from "./change-log.js";
import { clearDropped, findDropped, keysPerStep } from "./clear-dropped.js";
import { compactSpace } from "./compact-space.js";
import { openDatabase } from "./database.js";
import { readFields } from "./field-counts.js";
import type { LogCalls } from "./messages.js";
import { unpackRecords } from "./pack-records.js";
import { findByWeights, getRecords, listRecords } from "./read-records.js";
import { type CallServer, serveCalls } from "./serve-calls.js";
import { readSpaces, requireSpace, toCountedSpace } from "./space-table.js";
import { toStoreError } from "./to-store-error.js";
import { createWriteQueue } from "./write-queue.js";
import { deleteRecords, patchRecords, upsertRecords } from "./write-records.js";
import { dropSpace, ensureSpace, switchSpaces } from "./write-spaces.js";

type Handlers = {
  readonly [Name in keyof LogCalls]: (
    request: LogCalls[Name]["request"],
  ) => LogCalls[Name]["response"] | Promise<LogCalls[Name]["response"]>;
};

/** Reads and writes the log of one folder. */
await serveCalls(async (): Promise<CallServer> => {
  const { folder } = workerData as { readonly folder: string };
  const { root, tables } = openDatabase(folder);
  // Readers that were killed would keep old pages from being used again.
  root.readerCheck();
  const write = createWriteQueue(root);

  /** What is there now: also what another process has just written. */
  const read = <Result>(work: () => Result): Result => {
    root.resetReadTxn();
    return work();
  };

  const list = async (spaceId: string, range: RecordRange): Promise<readonly VectorRecord[]> => {
    const records: VectorRecord[] = [];
    read(() => assertRange(range, readFields(tables, requireSpace(tables, spaceId).number)));
    for (let after = range.after; ; await setImmediate()) {
      const rest = { ...range, after, limit: range.limit - records.length };
      const step = read(() => listRecords(tables, requireSpace(tables, spaceId), rest));
      records.push(...step.records);
      if (step.next === undefined) return records;
      after = step.next;
    }
  };

  let isClosing = false;
  /** Clears what is left of spaces that were dropped, step by step, so that other writers come between. */
  const clear = async (numbers: readonly number[]): Promise<void> => {
    for (const number of numbers) {
      while (!isClosing && (await write(() => clearDropped(tables, number), keysPerStep)));
    }
  };

  const drop = async (spaceId: string): Promise<null> => {
    const number = await write(() => dropSpace(tables, spaceId));
    // The space is gone, whatever comes: what stays of it is cleared when the store is compacted or opened.
    await clear([number]).catch(() => {});
    return null;
  };

  const compact = async (): Promise<null> => {
    for (const { spaceId } of read(() => readSpaces(tables))) {
      // A space that was dropped meanwhile needs it no more.
      const step = (): boolean => tables.spaces.doesExist(Buffer.from(spaceId)) && compactSpace(tables, spaceId);
      while (await write(step));
    }
    await clear(read(() => findDropped(tables)));
    await write(() => trimLog(tables));
    root.readerCheck();
    return null;
  };

  const handlers: Handlers = {
    ensureSpace: ({ spec, fill }) => write(() => ensureSpace(tables, spec, fill)),
    countSpaces: () => read(() => [...readSpaces(tables)].sort(compareSpaces).map(toCountedSpace)),
    switchSpaces: (change) => write(() => switchSpaces(tables, change)).then(() => null),
    dropSpace: drop,
    upsert: ({ spaceId, records, keepKnown }) => {
      const unpacked = unpackRecords(records);
      return write(() => upsertRecords(tables, spaceId, unpacked, keepKnown), unpacked.length).then(() => null);
    },
    updateMetadata: ({ id, patch }) => {
      assertPatch(id, patch);
      return write(() => patchRecords(tables, id, patch));
    },
    delete: ({ ids, spaceId }) => write(() => deleteRecords(tables, ids, spaceId), ids.length),
    get: ({ spaceId, ids, vectors }) => read(() => getRecords(tables, requireSpace(tables, spaceId), ids, vectors)),
    list: ({ spaceId, range }) => list(spaceId, range),
    findByWeights: ({ spaceId, hashes }) => read(() => findByWeights(tables, requireSpace(tables, spaceId), hashes)),
    fields: (spaceId) => read(() => readFields(tables, requireSpace(tables, spaceId).number)),
    compact,
    snapshot: (path) => root.backup(path, true).then(() => null),
  };

  // Of spaces whose process ended while it cleared them. Nobody waits for that, and compacting tells what fails.
  const clearing = clear(read(() => findDropped(tables))).catch(() => {});

  return {
    handle: async (name, request) => {
      const handler = new Map<string, (request: never) => unknown>(Object.entries(handlers)).get(name);
      if (handler === undefined) throw new InternalError("INTERNAL", `there is no call ${name}`);
      try {
        return await handler(request as never);
      } catch (error) {
        throw toStoreError(error, folder);
      }
    },
    close: async () => {
      isClosing = true;
      await clearing;
      await root.close();
    },
  };
});
