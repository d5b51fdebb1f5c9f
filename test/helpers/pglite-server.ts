import { type AddressInfo, createServer, type Socket } from "node:net";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";

/** PostgreSQL and pgvector in this process, behind a socket: the SQL for real, but neither disk nor parallel work. */
export interface PGliteServer {
  readonly connectionString: string;
  /** Breaks all connections, as a server that restarts. */
  breakConnections(): void;
  stop(): Promise<void>;
}

/** Types of messages that end what a client sends before it waits: Sync, a simple query, Terminate. */
const ends = new Set(["S", "Q", "X"].map((type) => type.charCodeAt(0)));
const terminate = "X".charCodeAt(0);
/** Requests that come before a startup message, without a type, by their code: for TLS, and to cancel. */
const [sslRequest, cancelRequest] = [80877103, 80877102];

/**
 * Starts PostgreSQL in memory on a free port of 127.0.0.1. It has one session only, so connections take turns: one has it
 * from the beginning of what it sends to its end, or to the end of its transaction. (The server of the package
 * pglite-socket takes turns by message, and so runs one connection's statement with another's values.)
 */
export async function startPGliteServer(): Promise<PGliteServer> {
  const db = await PGlite.create({ extensions: { vector } });
  const sockets = new Set<Socket>();
  let turn: Promise<void> = Promise.resolve();

  /** Waits for the session, and gives the function that hands it on. */
  const take = async (): Promise<() => void> => {
    const before = turn;
    let release = (): void => {};
    turn = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  };

  const serve = async (socket: Socket): Promise<void> => {
    let release: (() => void) | undefined;
    try {
      for await (const { type, bytes } of readMessages(socket)) {
        if (type === terminate) break;
        release ??= await take();
        socket.write(await db.execProtocolRaw(bytes));
        if ((type === undefined || ends.has(type)) && !db.isInTransaction()) {
          release();
          release = undefined;
        }
      }
    } catch {
      // The client went away.
    } finally {
      if (release !== undefined && db.isInTransaction()) await db.exec("ROLLBACK");
      release?.();
      sockets.delete(socket);
      socket.destroy();
    }
  };

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    void serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const breakConnections = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    connectionString: `postgres://postgres@127.0.0.1:${port}/postgres`,
    breakConnections,
    stop: async () => {
      breakConnections();
      await new Promise((resolve) => server.close(resolve));
      await (await take())();
      await db.close();
    },
  };
}

/** Cuts what a client sends into messages; the first has no type. */
async function* readMessages(socket: Socket): AsyncGenerator<{ type: number | undefined; bytes: Uint8Array }> {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const lengthAt = isStarted ? 1 : 0;
      if (rest.length < lengthAt + 4) break;
      const length = lengthAt + rest.readUInt32BE(lengthAt);
      if (rest.length < length) break;
      const bytes = rest.subarray(0, length);
      rest = rest.subarray(length);
      const code = isStarted ? 0 : bytes.readUInt32BE(4);
      if (code === cancelRequest) return;
      if (code === sslRequest) {
        socket.write("N");
        continue;
      }
      yield { type: isStarted ? bytes[0] : undefined, bytes: new Uint8Array(bytes) };
      isStarted = true;
    }
  }
}
