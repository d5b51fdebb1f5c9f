import { setTimeout as delay } from "node:timers/promises";
import type { Database, Transaction } from "./database.js";
import type { Extensions } from "./find-extensions.js";
import { maxIndexedWidth, type SpaceTable, toIndexName } from "./space-table.js";

/** How the indexes of representations are made. */
export interface IndexOptions {
  /**
   * Records from which on a space gets an index. Below, every search looks at all of them, which takes some 10 ms at
   * 10,000 × 512 and is exact. Default 10,000.
   */
  readonly indexFromCount?: number;
  /**
   * How long a space must have been left alone before its index is made, in milliseconds: loading rows and indexing them
   * afterwards is several times as fast as loading into an index. Default 5,000.
   */
  readonly indexIdleMs?: number;
  /** MiB that the server may use to make an index; with too few for it, that takes many times as long. Default 512. */
  readonly indexMemoryMiB?: number;
  /** Hears of an index that could not be made: searches stay exact, and slow. */
  readonly onFault?: (error: unknown) => void;
}

/** Makes the indexes of representations, and knows which there are. */
export interface SpaceIndexes {
  /** Whether the index of a space is there; where it should be, it is made in the background. */
  isThere(space: SpaceTable): Promise<boolean>;
  /** Records were written: if they are enough, the index is made once no more come. */
  onWritten(space: SpaceTable, rowCount: number): void;
  /** Makes the index now, if the space is large enough for one; whoever asks for one that is being made waits for it. */
  make(space: SpaceTable): Promise<void>;
  close(): Promise<void>;
}

/** How long it is believed that there is no index, in milliseconds. */
const trustMs = 10_000;
/** How long an index may wait for a space to be left alone, in milliseconds. */
const longestWaitMs = 10 * 60 * 1000;
/** Pause between two looks at an index that another server is making, in milliseconds: the first, which doubles, and most. */
const [firstPollMs, longestPollMs] = [500, 10_000];
/** How long an index that could not be made is left alone, in milliseconds: the first time, which doubles, and most. */
const [firstRestMs, longestRestMs] = [60_000, 60 * 60 * 1000];

interface Entry {
  isThere: boolean;
  lookedAt: number;
  written: number;
  /** When it was first wanted, while it waits. */
  wantedAt?: number;
  timer?: NodeJS.Timeout;
  /** The making of it that is under way here. */
  making?: Promise<void>;
  /** How often in turn it could not be made, and until when it is not tried again in the background. */
  failures: number;
  restUntil: number;
}

/** Creates {@link SpaceIndexes}. */
export function createSpaceIndexes(database: Database, extensions: Extensions, options: IndexOptions): SpaceIndexes {
  const { indexFromCount = 10_000, indexIdleMs = 5000, indexMemoryMiB = 512, onFault = () => {} } = options;
  const { schema } = database;
  const { vectorSchema } = extensions;
  const entries = new Map<number, Entry>();
  const running = new Set<Promise<void>>();
  const closing = new AbortController();
  const { signal } = closing;

  const entryOf = ({ number }: SpaceTable): Entry => {
    const entry = entries.get(number) ?? { isThere: false, lookedAt: 0, written: 0, failures: 0, restUntil: 0 };
    entries.set(number, entry);
    return entry;
  };

  const readState = async (
    { number }: SpaceTable,
    query: Transaction["query"] = database.read,
  ): Promise<"valid" | "broken" | "absent"> => {
    const [row] = await query<{ valid: boolean }>(
      "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1)",
      [toIndexName(number, schema)],
    );
    if (row === undefined) return "absent";
    return row.valid ? "valid" : "broken";
  };

  const isLarge = async ({ table, width }: SpaceTable): Promise<boolean> => {
    if (width > maxIndexedWidth) return false;
    const [row] = await database.read<{ count: number }>(
      `SELECT count(*)::integer AS count FROM (SELECT 1 FROM ${table} LIMIT ${indexFromCount}) AS first`,
    );
    return (row?.count ?? 0) >= indexFromCount;
  };

  /** Makes it, beside reads and writes. One server does; the others find it done. */
  const build = async (space: SpaceTable): Promise<void> => {
    const { number, table } = space;
    const index = toIndexName(number, schema);
    let pollMs = firstPollMs;
    while (!signal.aborted && (await readState(space)) !== "valid" && (await isLarge(space))) {
      const isMade = await database.session(async ({ query }) => {
        const lock = `hashtextextended('probestream ' || $1::text, 0)`;
        const [row] = await query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(${lock}) AS locked`, [index]);
        if (row?.locked !== true) return false;
        // One that was cut off half-way is there, and of no use.
        if ((await readState(space, query)) === "broken") await query(`DROP INDEX CONCURRENTLY IF EXISTS ${index}`);
        if ((await readState(space, query)) === "valid") return true;
        await query(`SET maintenance_work_mem = '${Math.max(1, Math.round(indexMemoryMiB))}MB'`);
        await query(
          `CREATE INDEX CONCURRENTLY records_${number}_nearest ON ${table} USING hnsw (embedding ${vectorSchema}.vector_cosine_ops)`,
        );
        await query(`ANALYZE ${table}`);
        return true;
      }, signal);
      if (isMade) return;
      await delay(pollMs, undefined, { signal }).catch(() => {});
      pollMs = Math.min(longestPollMs, 2 * pollMs);
    }
  };

  const make = (space: SpaceTable): Promise<void> => {
    const entry = entryOf(space);
    if (entry.making !== undefined) return entry.making;
    const making = build(space)
      .then(
        () => {
          entry.failures = 0;
          // The next search looks for it.
          entry.lookedAt = 0;
        },
        (error: unknown) => {
          entry.restUntil = Date.now() + Math.min(longestRestMs, firstRestMs * 2 ** entry.failures);
          entry.failures++;
          throw error;
        },
      )
      .finally(() => {
        delete entry.making;
        running.delete(making);
      });
    entry.making = making;
    running.add(making);
    return making;
  };

  const run = (space: SpaceTable): void => {
    make(space).catch((error: unknown) => {
      // Cut off by closing, it is made by whoever comes next.
      if (!signal.aborted) onFault(error);
    });
  };

  /** Whether it need not be made now: it is there, on its way, or was tried in vain a short while ago. */
  const isSettled = ({ isThere, making, restUntil }: Entry): boolean =>
    isThere || making !== undefined || Date.now() < restUntil;

  const want = (space: SpaceTable): void => {
    const entry = entryOf(space);
    if (signal.aborted || isSettled(entry) || space.width > maxIndexedWidth) return;
    const now = Date.now();
    entry.wantedAt ??= now;
    clearTimeout(entry.timer);
    entry.timer = setTimeout(
      () => {
        delete entry.wantedAt;
        run(space);
      },
      Math.max(0, Math.min(indexIdleMs, entry.wantedAt + longestWaitMs - now)),
    );
    entry.timer.unref();
  };

  return {
    isThere: async (space) => {
      const entry = entryOf(space);
      if (entry.isThere || Date.now() - entry.lookedAt < trustMs) return entry.isThere;
      entry.isThere = (await readState(space)) === "valid";
      entry.lookedAt = Date.now();
      if (!isSettled(entry) && entry.wantedAt === undefined && (await isLarge(space))) want(space);
      return entry.isThere;
    },
    onWritten: (space, rowCount) => {
      const entry = entryOf(space);
      entry.written += rowCount;
      // Small writes need not be looked after one by one; a search looks too.
      if (entry.wantedAt !== undefined || entry.written >= indexFromCount / 10) {
        entry.written = 0;
        want(space);
      }
    },
    make,
    close: async () => {
      closing.abort();
      for (const { timer } of entries.values()) clearTimeout(timer);
      await Promise.allSettled(running);
    },
  };
}
