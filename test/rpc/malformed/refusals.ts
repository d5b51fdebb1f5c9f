import { type ServiceError, status } from "@grpc/grpc-js";
import type { ErrorReason as ReasonName } from "../../../src/errors/error-reason.js";
import type { PlannedModel } from "../../../src/gen/probestream/v1/embedding_service_pb.js";
import { ErrorReason } from "../../../src/gen/probestream/v1/error_reason_pb.js";
import type { ModelError } from "../../../src/gen/probestream/v1/types_pb.js";
import {
  type CallFailure,
  type ManifestInit,
  type RawClient,
  toFailure,
  type UploadAnswer,
  type UploadMessage,
} from "../../helpers/rpc-client.js";
import type { Context, Refusal } from "./row.js";

function fromModelError({ code, reason, message }: ModelError): Refusal {
  return {
    of: "model",
    code: status[code] as keyof typeof status,
    reason: ErrorReason[reason] as ReasonName,
    message,
  };
}

function fromFailure({ code, message, info, details }: CallFailure): Refusal {
  if (
    info !== undefined &&
    (info.domain !== "probestream.dev" || details?.code !== code || details.message !== message)
  ) {
    throw new Error(`grpc-status-details-bin differs from the status: ${JSON.stringify(details)}`);
  }
  return {
    of: "call",
    code: status[code] as keyof typeof status,
    reason: info?.reason as ReasonName | undefined,
    message,
  };
}

/** Plans one model that must be refused. */
export function plan(init: ManifestInit) {
  return async ({ client }: Context): Promise<Refusal> => {
    const [answer] = await client.plan(init);
    if (answer?.outcome.case !== "error") throw new Error("it was planned");
    return fromModelError(answer.outcome.value);
  };
}

/** A unary call that must fail. */
export function fails(call: (client: RawClient) => Promise<unknown>) {
  return async ({ client }: Context): Promise<Refusal> => {
    try {
      await call(client);
    } catch (error) {
      return fromFailure(toFailure(error as ServiceError));
    }
    throw new Error("the call went through");
  };
}

/** Uploads messages made from the plan of a model. The call must fail, or its last model must. */
export function upload(init: ManifestInit, make: (plan: PlannedModel) => Iterable<UploadMessage | Buffer>) {
  return async ({ client }: Context): Promise<Refusal> => {
    const planned = await client.planOne(init);
    return fromAnswer(await client.upload(make(planned)));
  };
}

function fromAnswer({ response, failure }: UploadAnswer): Refusal {
  if (failure !== undefined) return fromFailure(failure);
  const last = response.results.at(-1);
  if (last?.outcome.case !== "error") throw new Error("it was embedded");
  return fromModelError(last.outcome.value);
}
