import { availableParallelism } from "node:os";
import type { BackendName } from "../compute/create-backend.js";
import { openCatalogue } from "../experts/catalogue.js";
import { defaultGraceMs, type ServerOptions, type ServerTls } from "../rpc/server.js";
import { defaultLimits, type EmbedLimits } from "../search/limits.js";
import { defaultWorkerCount } from "../search/open-embedder.js";
import type { UploadStore } from "../search/upload-store.js";
import { openDirectoryUploadStore } from "../search/upload-stores/directory.js";
import { CommandError, exitCodes, usageError } from "./exit-codes.js";
import type { Address } from "./option-values.js";
import { readPem } from "./server-connection.js";
import { formatBytes } from "./size.js";

/** Options of `serve`, as the command line gives them. */
export interface ServeOptions {
  readonly experts: string;
  readonly listen: Address;
  readonly stateDir?: string;
  /** Folder or URL of the catalogue. */
  readonly store?: string;
  /** Folders or ids of text encoders. */
  readonly textEncoder?: readonly string[];
  readonly processes: number;
  readonly workers?: number;
  readonly memoryBudget?: number;
  /** Bytes. */
  readonly receiveWindow?: number;
  readonly backend?: BackendName | "auto";
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  /** File of tokens. */
  readonly tokenFile?: string;
  readonly insecure?: boolean;
  /** Milliseconds, like the next two. */
  readonly idleTimeout?: number;
  readonly uploadExpiry?: number;
  readonly grace?: number;
  /** Bytes. */
  readonly maxChunk?: number;
}

/** Longest chunk that can be allowed: messages have 4 MiB, and a chunk's frame takes a few bytes of one. */
const maxChunkBytes = 4 * 1024 * 1024 - 4096;

/** What `startServer` needs, for one process of as many as the options say. */
export async function toServerOptions(options: ServeOptions): Promise<ServerOptions> {
  const { listen, processes, memoryBudget, receiveWindow, backend, insecure, stateDir } = options;
  const limits = toLimits(options);
  const tls = await readServerTls(options);
  return {
    catalogue: openCatalogue(options.experts),
    host: listen.host,
    port: listen.port,
    processCount: processes,
    workerCount: options.workers ?? shareWorkers(processes),
    limits,
    ...(memoryBudget !== undefined && { memoryBudgetBytes: memoryBudget }),
    ...(receiveWindow !== undefined && { receiveWindowBytes: receiveWindow }),
    ...(backend !== undefined && { backend }),
    ...(insecure !== undefined && { insecure }),
    ...(tls !== undefined && { tls }),
    ...(stateDir !== undefined && {
      uploads: await openUploads(stateDir, limits.uploadExpiryMs),
    }),
  };
}

async function openUploads(folder: string, expiryMs: number | undefined): Promise<UploadStore> {
  return openDirectoryUploadStore(folder, expiryMs === undefined ? {} : { expiryMs }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `--state-dir: ${folder} is no folder that can be written to: ${why}`;
    throw new CommandError(message, exitCodes.usage, { cause });
  });
}

/** How long an orderly shutdown waits for open streams, in milliseconds. */
export function toGraceMs({ grace = defaultGraceMs }: ServeOptions): number {
  return grace;
}

/** Processes share the cores; one alone leaves one to its event loop. */
function shareWorkers(processes: number): number {
  if (processes === 1) return defaultWorkerCount();
  return Math.min(8, Math.max(1, Math.floor(availableParallelism() / processes)));
}

function toLimits({ idleTimeout, uploadExpiry, maxChunk }: ServeOptions): Partial<EmbedLimits> {
  if (maxChunk !== undefined && (maxChunk < 1 || maxChunk > maxChunkBytes)) {
    throw usageError(`--max-chunk is ${formatBytes(maxChunk)}; allowed are 1 to ${maxChunkBytes} bytes`);
  }
  if (idleTimeout === 0) throw usageError("--idle-timeout is 0; a stream needs some time to bring anything");
  return {
    ...(idleTimeout !== undefined && { streamIdleMs: idleTimeout }),
    ...(uploadExpiry !== undefined && { uploadExpiryMs: uploadExpiry }),
    ...(maxChunk !== undefined && {
      maxChunkBytes: maxChunk,
      bestChunkBytes: Math.min(maxChunk, defaultLimits.bestChunkBytes),
    }),
  };
}

async function readServerTls(options: ServeOptions): Promise<ServerTls | undefined> {
  const certificate = await readPem("--tls-cert", options.tlsCert);
  const privateKey = await readPem("--tls-key", options.tlsKey);
  const clientAuthority = await readPem("--tls-client-ca", options.tlsClientCa);
  if (certificate !== undefined && privateKey !== undefined) {
    return { certificate, privateKey, ...(clientAuthority !== undefined && { clientAuthority }) };
  }
  if (certificate === undefined && privateKey === undefined && clientAuthority === undefined) return undefined;
  throw usageError("--tls-cert and --tls-key belong together, and --tls-client-ca needs both");
}
