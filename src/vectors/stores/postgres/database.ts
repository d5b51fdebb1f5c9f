import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { InternalError } from "../../../errors/probestream-error.js";
import { toPlace } from "./to-place.js";
import { isConnectionLost, isUndone, toStoreError } from "./to-store-error.js";

/** How a database is reached. */
export interface DatabaseOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=…` and the like. It is never shown. */
  readonly connectionString: string;
  /** Schema that holds all tables. Default `probestream`. */
  readonly schema?: string;
  /** Connections at most. Default 10. */
  readonly maxConnections?: number;
  /** How long a connection may take, in milliseconds, waiting for a free one included. Default 10,000. */
  readonly connectTimeoutMs?: number;
}

/** One row by column; its type is the caller's word. */
export type Row = pg.QueryResultRow;

/** What a value of a statement may be. Buffers go in PostgreSQL's binary format, the rest as text. */
export type SqlValue = string | number | boolean | Buffer | null | readonly (string | number | Buffer | null)[];

/** Statements of one transaction. */
export interface Transaction {
  query<R extends Row>(sql: string, values?: readonly SqlValue[]): Promise<readonly R[]>;
}

/** How a transaction runs. */
export interface TransactionOptions {
  /** Settings of this transaction, as `SET LOCAL` takes them: `jit = off`. */
  readonly settings?: readonly string[];
  /** Ends the running statement on the server. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether it is run again if the connection broke at its end, when it may have happened: right for what reads, and for
   * what may happen twice. If it broke earlier it is run again in any case.
   */
  readonly isRepeatable?: boolean;
}

/** A pool of connections to one database. Everything it throws is one of our errors. */
export interface Database {
  /** `HOST:PORT/DATABASE`, for people. */
  readonly place: string;
  /** The schema, quoted for SQL. */
  readonly schema: string;
  readonly maxConnections: number;
  /** Runs statements in one transaction; again, if the server undid it for another's sake. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Runs one statement that reads. */
  read<R extends Row>(sql: string, values?: readonly SqlValue[], signal?: AbortSignal): Promise<readonly R[]>;
  /**
   * Runs what another package gives: one statement with values, or several without. A connection on which it failed, maybe
   * half-way through a transaction, is closed.
   */
  execute(sql: string, values: readonly unknown[]): Promise<{ rows: Row[] }>;
  /**
   * Hands out one connection for what cannot run in a transaction. It is closed afterwards, with all its settings. The
   * signal ends the running statement.
   */
  session<T>(work: (session: Transaction) => Promise<T>, signal?: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

/** Tries of what may be repeated, and of what was undone. */
const maxTries = 5;
/** Pause before the second try, in milliseconds; it doubles. A server that restarts is back within some seconds. */
const firstPauseMs = 100;

/** Quotes a name for SQL. */
export function quoteSqlName(name: string): string {
  return pg.escapeIdentifier(name);
}

/**
 * Opens a pool. It connects when it is used.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a connection string that cannot be read.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { connectionString, schema = "probestream", maxConnections = 10, connectTimeoutMs = 10_000 } = options;
  const connect = { connectionString, application_name: "probestream", keepAlive: true };
  const place = toPlace(connectionString);
  const pool = new pg.Pool({ ...connect, max: maxConnections, connectionTimeoutMillis: connectTimeoutMs });
  // A connection that breaks while it is idle, or that is being closed, would end the process if nobody listened. The pool
  // drops it, and whoever was using it has an error of its own.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));

  /** Ends what a connection is running, by another one: the pool may have none to spare. */
  const cancel = async (processId: number | null): Promise<void> => {
    const other = new pg.Client({ ...connect, connectionTimeoutMillis: connectTimeoutMs });
    other.on("error", () => {});
    try {
      await other.connect();
      await other.query("SELECT pg_cancel_backend($1)", [processId]);
    } catch {
      // It runs to its end, then; nobody waits for its result.
    } finally {
      await other.end().catch(() => {});
    }
  };

  const once = async <T>(
    work: (transaction: Transaction) => Promise<T>,
    begin: string,
    signal: AbortSignal | undefined,
    onCommit: () => void,
  ): Promise<T> => {
    signal?.throwIfAborted();
    const client = await pool.connect();
    let isBroken = false;
    let cancelling: Promise<void> | undefined;
    const onError = (): void => {
      isBroken = true;
    };
    const onAbort = (): void => {
      cancelling = cancel(processIdOf(client));
    };
    client.on("error", onError);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await client.query(begin);
      signal?.throwIfAborted();
      const result = await work(toTransaction(client));
      onCommit();
      // One that failed inside is rolled back by COMMIT without an error.
      const { command } = await client.query("COMMIT");
      if (command !== "COMMIT") throw new InternalError("INTERNAL", "a transaction was not committed");
      return result;
    } catch (error) {
      if (isConnectionLost(error)) isBroken = true;
      else {
        await client.query("ROLLBACK").catch(() => {
          isBroken = true;
        });
      }
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      // Until the request to cancel is done it could hit whoever gets the connection next.
      await cancelling;
      client.off("error", onError);
      client.release(isBroken);
    }
  };

  const repeat = async <T>(
    work: () => Promise<T>,
    isWorthIt: (error: unknown) => boolean,
    signal?: AbortSignal,
  ): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        signal?.throwIfAborted();
        if (attempt === maxTries || !isWorthIt(error)) throw toStoreError(error, place);
        const pauseMs = firstPauseMs * 2 ** (attempt - 1);
        await delay(pauseMs, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
      }
    }
  };

  const transaction: Database["transaction"] = (work, { settings = [], signal, isRepeatable = false } = {}) => {
    // A client that vanished must not keep its locks until the network gives up on it.
    const all = ["idle_in_transaction_session_timeout = '60s'", ...settings];
    const begin = ["BEGIN", ...all.map((setting) => `SET LOCAL ${setting}`)].join("; ");
    // What broke before the commit was sent has not happened.
    let isInDoubt = false;
    const isWorthIt = (error: unknown): boolean =>
      isUndone(error) || ((isRepeatable || !isInDoubt) && isConnectionLost(error));
    const run = () =>
      once(work, begin, signal, () => {
        isInDoubt = true;
      });
    return repeat(run, isWorthIt, signal);
  };

  return {
    place,
    schema: quoteSqlName(schema),
    maxConnections,
    transaction,
    read: <R extends Row>(sql: string, values: readonly SqlValue[] = [], signal?: AbortSignal) => {
      if (signal !== undefined)
        return transaction(({ query }) => query<R>(sql, values), { signal, isRepeatable: true });
      return repeat(async () => (await pool.query<R>(sql, [...values])).rows, isConnectionLost);
    },
    execute: (sql, values = []) =>
      repeat(async () => {
        const client = await pool.connect();
        let isBroken = true;
        try {
          const rows = await toTransaction(client).query(sql, values as readonly SqlValue[]);
          isBroken = false;
          return { rows: [...rows] };
        } finally {
          client.release(isBroken);
        }
      }, isConnectionLost),
    session: async (work, signal) => {
      let client: pg.PoolClient | undefined;
      const onAbort = (): void => {
        if (client !== undefined) void cancel(processIdOf(client));
      };
      try {
        signal?.throwIfAborted();
        client = await pool.connect();
        signal?.addEventListener("abort", onAbort, { once: true });
        return await work(toTransaction(client));
      } catch (error) {
        signal?.throwIfAborted();
        throw toStoreError(error, place);
      } finally {
        signal?.removeEventListener("abort", onAbort);
        client?.release(true);
      }
    },
    close: () => pool.end(),
  };
}

function toTransaction(client: pg.PoolClient): Transaction {
  return {
    query: async <R extends Row>(sql: string, values: readonly SqlValue[] = []) => {
      const { rows } = await client.query<R>(sql, [...values]);
      // Of several statements there are several results, which nobody reads.
      return rows ?? [];
    },
  };
}

/** The server's process behind a connection. `pg` has it, its types do not. */
function processIdOf(client: pg.PoolClient): number | null {
  return "processID" in client && typeof client.processID === "number" ? client.processID : null;
}
