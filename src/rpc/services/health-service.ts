import { type handleServerStreamingCall, type handleUnaryCall, status } from "@grpc/grpc-js";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../gen/health/v1/health_pb.js";

/** What a check or a watch is answered. */
type Answer = Pick<HealthCheckResponse, "status">;

/** What a list is answered. */
interface AnswerOfAll {
  readonly statuses: Readonly<Record<string, Answer>>;
}

/** Handlers of gRPC's health service, and what changes their answers. */
export interface HealthService {
  readonly check: handleUnaryCall<HealthCheckRequest, Answer>;
  readonly list: handleUnaryCall<unknown, AnswerOfAll>;
  readonly watch: handleServerStreamingCall<HealthCheckRequest, Answer>;
  /** Says that none of the services serves any more. */
  stop(): void;
}

/**
 * Creates the handlers.
 *
 * @param isServing by the name of a service; the empty name is the server's. Others are unknown.
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export function createHealthService(isServing: ReadonlyMap<string, boolean>): HealthService {
  const statuses = new Map([...isServing].map(([name, is]) => [name, is ? Serving.SERVING : Serving.NOT_SERVING]));
  const watchers = new Set<() => void>();
  return {
    check: ({ request: { service } }, callback) => {
      const found = statuses.get(service);
      if (found !== undefined) callback(null, { status: found });
      else callback({ code: status.NOT_FOUND, details: `Health status unknown for service ${service}` });
    },
    list: (_, callback) => {
      callback(null, { statuses: Object.fromEntries([...statuses].map(([name, is]) => [name, { status: is }])) });
    },
    watch: (call) => {
      const { service } = call.request;
      // A watch never ends by itself.
      const tell = (): void => {
        call.write({ status: statuses.get(service) ?? Serving.SERVICE_UNKNOWN });
      };
      tell();
      // Services are not added later.
      if (!statuses.has(service)) return;
      watchers.add(tell);
      call.on("cancelled", () => watchers.delete(tell));
    },
    stop: () => {
      for (const name of statuses.keys()) statuses.set(name, Serving.NOT_SERVING);
      for (const tell of watchers) tell();
    },
  };
}
