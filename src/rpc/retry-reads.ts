import { setTimeout as sleep } from "node:timers/promises";
import type { DescMethod } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import { UnavailableError } from "../errors/probestream-error.js";
import { CatalogueService } from "../gen/probestream/v1/catalogue_service_pb.js";

/** Calls that change what the server keeps: whether one that failed was carried out, nobody knows. */
const changing: ReadonlySet<DescMethod> = new Set<DescMethod>([
  CatalogueService.method.switchSpaces,
  CatalogueService.method.dropSpace,
  CatalogueService.method.updateModel,
  CatalogueService.method.deleteModels,
]);

/** The pause before the second attempt at most, in milliseconds; it doubles with each. */
const firstPauseMs = 400;

/** How often and how long a call is tried. */
export interface RetryOptions {
  /** Further attempts; 0 for none. */
  readonly retries: number;
  /** When it must be over, in milliseconds since 1970. */
  readonly endMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Throws where the connection was closed before the first attempt: that does not pass. */
  readonly assertOpen: () => unknown;
}

/**
 * Makes a call, and makes it again where the server could not be reached or is about to stop, if it only reads.
 *
 * @throws what `assertOpen` or the last attempt threw; the signal's reason if it stops a pause.
 */
export async function retryReads<T>(
  method: DescMethod,
  attempt: () => Promise<T>,
  { retries, endMs, signal, assertOpen }: RetryOptions,
): Promise<T> {
  assertOpen();
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      // A random part, lest many clients of a server that comes back come all at once.
      const pauseMs = firstPauseMs * 2 ** failures++ * (0.5 + Math.random() / 2);
      const isOver = failures > retries || Date.now() + pauseMs >= endMs || signal?.aborted === true;
      if (isOver || changing.has(method) || !mayPass(error)) throw error;
      await sleep(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

function mayPass(error: unknown): boolean {
  if (!(error instanceof UnavailableError)) return false;
  if (error.reason === "SHUTTING_DOWN") return true;
  return error.cause instanceof Error && (error.cause as Partial<ServiceError>).code === status.UNAVAILABLE;
}
