import { isIP } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { InvalidInputError, UnavailableError } from "../errors/probestream-error.js";
import { createIndexer } from "../retrieval/create-indexer.js";
import { defaultRetrievalLimits, type RetrievalLimits } from "../retrieval/limits.js";
import { assertCatalogue } from "../search/assert-catalogue.js";
import { letHeapGrow } from "../search/collect-garbage.js";
import { type EmbedderOptions, startEmbedder } from "../search/embedder.js";
import type { Embedder } from "../search/open-embedder.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { VectorStore } from "../vectors/vector-store.js";
import { addServices } from "./add-services.js";
import { queuedMessages } from "./call.js";
import { cleanDetails } from "./clean-details.js";
import { isLoopback } from "./loopback.js";
import { protocolWindowBytes, setReceiveWindow } from "./receive-window.js";
import { requireToken } from "./require-token.js";
import type { ReportFault } from "./to-status.js";
import { createTokenSet, type TokenSet } from "./tokens/token-set.js";
import { type WindowRange, widenWindow } from "./widen-window.js";

/** Certificates of a server, as PEM. */
export interface ServerTls {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  /** Certificate authority of clients: with it, only clients with a certificate of its are let in (mTLS). */
  readonly clientAuthority?: Buffer;
}

/** How a server is set up. */
export interface ServerOptions extends Omit<EmbedderOptions, "receiveWindowBytes" | "queuedBytes" | "indexer"> {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** Port to listen on; 0, the default, takes a free one. */
  readonly port?: number;
  readonly tls?: ServerTls;
  /** Allows plaintext beyond loopback. */
  readonly insecure?: boolean;
  /**
   * Tokens of 16 to 1,024 characters, of which each call but for health must bring one, as `authorization: Bearer …`; or a
   * file of them (`openTokenFile`), which stays the caller's. They are sent as they are: beyond this machine only TLS keeps
   * them secret. Default: none is asked for.
   */
  readonly tokens?: readonly string[] | TokenSet | undefined;
  /**
   * HTTP/2 receive window in bytes, 65,535 to 2^31 - 1. Default: 896 KiB, and up to 3 MiB for connections whose round
   * trip is long.
   */
  readonly receiveWindowBytes?: number;
  /** Server processes on the port, for GetServerInfo. */
  readonly processCount?: number;
  /** Catalogue of models. It stays the caller's, who closes it after the server. Default: none is kept. */
  readonly store?: VectorStore | undefined;
  /** Text encoders at hand; they stay the caller's, and must not work on this thread. Default none. */
  readonly encoders?: readonly TextEncoder[] | undefined;
  readonly retrievalLimits?: Partial<RetrievalLimits> | undefined;
  /** Hears of faults: errors that are not the caller's. Default: a line of JSON on stderr. */
  readonly reportFault?: ReportFault;
}

/** A server that listens. */
export interface RunningServer {
  readonly host: string;
  readonly port: number;
  readonly embedder: Embedder;
  /**
   * Stops in order: health says NOT_SERVING, no new calls are taken, open streams may end within `graceMs`, then they
   * are answered UNAVAILABLE and can be resumed.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Receive window where nothing else is said. 4 MiB would let a turn of the event loop read so much that health checks
 * beside four streams wait 85 instead of 50 ms (99th percentile, 2 cores), and a server that dies would lose more of what
 * was sent.
 */
export const defaultReceiveWindowBytes = 896 * 1024;

/** Receive window that a connection gets at most if its round trip is long and nothing else is said. */
export const widestReceiveWindowBytes = 3 * 1024 * 1024;

/** Longest message: a chunk of 1 MiB, or a plan for a thousand LoRA files. */
export const maxMessageBytes = 4 * 1024 * 1024;

/** Most calls at a time on one connection; what they may cost is the memory plan's to say. */
const maxConcurrentCalls = 100;

/** How long an orderly shutdown waits for open streams, in milliseconds. */
export const defaultGraceMs = 10_000;

/**
 * Starts a server on a port.
 *
 * @throws InvalidInputError `FIELD_INVALID` without a catalogue, for plaintext beyond loopback without `insecure`, and for
 * tokens that are too short, or none in the list; LimitExceededError `LIMIT_EXCEEDED` for more than 1,000.
 * @throws UnavailableError `SOURCE_UNAVAILABLE` if the port cannot be had, `BACKEND_UNAVAILABLE` if nothing computes.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  assertCatalogue(options, "startServer");
  const { host = "127.0.0.1", port = 0, receiveWindowBytes = defaultReceiveWindowBytes } = options;
  const widestBytes = options.receiveWindowBytes ?? widestReceiveWindowBytes;
  const report = options.reportFault ?? reportToStderr;
  assertAllowed(host, options);
  assertWindow(receiveWindowBytes);
  letHeapGrow();
  // Not handed on: only their digests are kept.
  const { tokens, ...rest } = options;
  const tokenSet = tokens === undefined || "has" in tokens ? tokens : createTokenSet(tokens);
  const { store, encoders = [] } = rest;
  const retrievalLimits: RetrievalLimits = { ...defaultRetrievalLimits, ...options.retrievalLimits };
  const embedder = await startEmbedder({
    onFault: (error) => report("none", error),
    ...rest,
    receiveWindowBytes,
    // One more is on its way in.
    queuedBytes: (queuedMessages + 1) * maxMessageBytes,
    indexer: store && createIndexer(store, retrievalLimits),
  });
  const windows: WindowRange = {
    leastBytes: receiveWindowBytes,
    mostBytes: widestBytes,
    reserve: (bytes) => embedder.memory.reserve(bytes, "a wider receive window", "connection"),
  };
  const closing = new AbortController();
  const server = new Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": maxConcurrentCalls,
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.max_connection_idle_ms": 300_000,
    ...(tokenSet !== undefined && { interceptors: [requireToken(tokenSet, report)] }),
  });
  const health = addServices(server, {
    embedder,
    store,
    encoders,
    retrievalLimits,
    report,
    closing: closing.signal,
    maxMessageBytes,
    processCount: options.processCount ?? 1,
  });

  try {
    const setWindows =
      receiveWindowBytes === protocolWindowBytes
        ? () => {}
        : setReceiveWindow(server, receiveWindowBytes, (session) => {
            if (widestBytes > receiveWindowBytes) void widenWindow(session, windows);
          });
    const bound = await bind(server, host, port, options.tls);
    setWindows();
    return {
      host,
      port: bound,
      embedder,
      close: async (graceMs = defaultGraceMs) => {
        health.stop();
        await shutDown(server, closing, graceMs);
        await embedder.close();
      },
    };
  } catch (error) {
    await embedder.close();
    throw error;
  }
}

async function bind(server: Server, host: string, port: number, tls: ServerTls | undefined): Promise<number> {
  const address = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, toCredentials(tls), (error, bound) => {
      if (error === null) {
        resolve(bound);
        return;
      }
      reject(
        new UnavailableError(
          "SOURCE_UNAVAILABLE",
          `cannot listen on ${address}: ${cleanDetails(error.message)}. Choose another --listen, or stop what listens there`,
          { address },
          { cause: error },
        ),
      );
    });
  });
}

function toCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: tls.certificate, private_key: tls.privateKey };
  return ServerCredentials.createSsl(tls.clientAuthority ?? null, [pair], tls.clientAuthority !== undefined);
}

/** Waits for open calls, then gives them up: first with an answer, at last by closing their connections. */
async function shutDown(server: Server, closing: AbortController, graceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const later = (ms: number, act: () => void): void => {
    timer = setTimeout(act, ms);
  };
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
    later(graceMs, () => {
      closing.abort();
      // Time for the answers to leave; health watches never end by themselves.
      later(500, () => {
        server.forceShutdown();
        // grpc-js waits for ever for a connection that broke before it spoke HTTP/2: a client with TLS, or a port scan.
        later(1000, resolve);
      });
    });
  });
  clearTimeout(timer);
}

function assertAllowed(host: string, { tls, insecure }: ServerOptions): void {
  if (isLoopback(host) || tls !== undefined || insecure === true) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `refusing to serve plaintext on ${host}, which others can reach; give --tls-cert and --tls-key, or --insecure if the network is trusted`,
    { host },
  );
}

function assertWindow(bytes: number): void {
  if (Number.isInteger(bytes) && bytes >= protocolWindowBytes && bytes < 2 ** 31) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `the receive window is ${bytes} bytes; HTTP/2 allows ${protocolWindowBytes} to 2147483647 (--receive-window)`,
    { found: bytes },
  );
}

/** Writes a fault to stderr, as a line of JSON. */
export function reportToStderr(requestId: string, error: unknown): void {
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const root = error instanceof Error && error.cause instanceof Error ? { cause: error.cause.stack } : {};
  process.stderr.write(
    `${JSON.stringify({ time: new Date().toISOString(), level: "error", requestId, error: cause, ...root })}\n`,
  );
}
