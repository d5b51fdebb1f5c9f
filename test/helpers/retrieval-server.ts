import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { type RunningServer, type ServerOptions, startServer } from "../../src/rpc/server.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import type { RetrievalZoo } from "./retrieval-zoo.js";
import { openRawClient, type RawClient } from "./rpc-client.js";

/** A real server with a store, and two clients. */
export interface RetrievalServer {
  readonly server: RunningServer;
  readonly target: string;
  readonly store: VectorStore;
  readonly client: ProbestreamClient;
  readonly raw: RawClient;
  /** Faults that the server reported: none, if all is well. */
  readonly faults: readonly unknown[];
  close(): Promise<void>;
}

/** Starts a server on a free port of loopback, over a store in memory unless another, or none, is given. */
export async function startRetrievalServer(
  zoo: RetrievalZoo,
  options: Partial<ServerOptions> = {},
): Promise<RetrievalServer> {
  const store = options.store ?? createMemoryStore();
  const isWithout = "store" in options && options.store === undefined;
  const faults: unknown[] = [];
  const server = await startServer({
    catalogue: zoo.catalogue,
    encoders: [zoo.encoder],
    workerCount: 1,
    backend: "plain",
    reportFault: (_, error) => faults.push(error),
    ...options,
    store: isWithout ? undefined : store,
  });
  const target = `${server.host}:${server.port}`;
  const client = connect({ target, deadlineMs: 20_000 });
  const raw = openRawClient(target);
  const close = async (): Promise<void> => {
    raw.close();
    await client.close();
    await server.close(0);
  };
  return { server, target, store, client, raw, faults, close };
}
