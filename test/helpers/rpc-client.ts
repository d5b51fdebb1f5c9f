import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type ChannelCredentials,
  Client,
  type ClientWritableStream,
  credentials,
  type ServiceError,
  type status,
} from "@grpc/grpc-js";
import { type ErrorInfo, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/gen/health/v1/health_pb.js";
import {
  EmbeddingService,
  EmbedModelRequestSchema,
  type EmbedModelResponse,
  type ModelPlan,
  type PlannedModel,
} from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { type GetServerInfoResponse, ServerService } from "../../src/gen/probestream/v1/server_service_pb.js";
import type { ManifestSchema } from "../../src/gen/probestream/v1/types_pb.js";
import { encodeMessage, toMethodDefinition } from "../../src/rpc/service-definition.js";

/** One message of an upload, right or wrong. */
export type UploadMessage = MessageInitShape<typeof EmbedModelRequestSchema>;

/** A model to plan for, right or wrong. */
export type ManifestInit = MessageInitShape<typeof ManifestSchema>;

/** How a call failed. */
export interface CallFailure {
  readonly code: status;
  readonly message: string;
  /** From `grpc-status-details-bin`; absent where the server did not answer itself. */
  readonly info: ErrorInfo | undefined;
  /** Code and message in `grpc-status-details-bin`, which repeat those of the call. */
  readonly details: { readonly code: number; readonly message: string } | undefined;
}

/** What came of an upload. */
export type UploadAnswer =
  | { readonly response: EmbedModelResponse; readonly failure?: undefined }
  | { readonly response?: undefined; readonly failure: CallFailure };

/** An open upload. */
export interface RawUpload {
  /** Hands a message over; settles when the transport wants more, or the call has ended. */
  write(message: UploadMessage | Buffer): Promise<void>;
  end(): void;
  cancel(): void;
  readonly isAnswered: boolean;
  readonly answer: Promise<UploadAnswer>;
}

/** A client that sends whatever it is told to. */
export interface RawClient {
  plan(...manifests: readonly ManifestInit[]): Promise<readonly ModelPlan[]>;
  /** The plan of one model; throws if there is none. */
  planOne(manifest: ManifestInit): Promise<PlannedModel>;
  serverInfo(): Promise<GetServerInfoResponse>;
  /** Status of a service; of the whole server by default. */
  health(service?: string): Promise<keyof typeof HealthCheckResponse_ServingStatus>;
  /** Any unary call. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>;
  /** Any server-streaming call: all its messages. */
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>[]>;
  openUpload(options?: { readonly deadlineMs?: number }): RawUpload;
  /** Sends messages one after another, half-closes and waits for the answer. */
  upload(messages: Iterable<UploadMessage | Buffer>, options?: { readonly deadlineMs?: number }): Promise<UploadAnswer>;
  close(): void;
}

const deadlineMs = 60_000;

/** Connects to a server. */
export function openRawClient(
  target: string,
  channelCredentials: ChannelCredentials = credentials.createInsecure(),
): RawClient {
  const client = new Client(target, channelCredentials, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    "grpc.per_rpc_retry_buffer_size": 0,
    "grpc.max_receive_message_length": -1,
  });
  const unary: RawClient["unary"] = (method, request) => {
    const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        create(method.input, request),
        { deadline: Date.now() + deadlineMs },
        (error, response) => {
          if (error !== null) reject(error);
          else if (response !== undefined) resolve(response);
        },
      );
    });
  };
  const plan: RawClient["plan"] = async (...manifests) => {
    const { plans } = await unary(EmbeddingService.method.planEmbedding, { manifests: [...manifests] });
    return plans;
  };
  const openUpload: RawClient["openUpload"] = (options = {}) => startUpload(client, options.deadlineMs ?? deadlineMs);
  return {
    plan,
    planOne: async (manifest) => {
      const [answer] = await plan(manifest);
      if (answer?.outcome.case === "planned") return answer.outcome.value;
      throw new Error(`no plan: ${answer?.outcome.value?.message}`);
    },
    serverInfo: () => unary(ServerService.method.getServerInfo, {}),
    health: async (service = "") => {
      const { status: found } = await unary(Health.method.check, { service });
      return HealthCheckResponse_ServingStatus[found] as keyof typeof HealthCheckResponse_ServingStatus;
    },
    unary,
    serverStream: async (method, request) => {
      const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
      const message = create(method.input, request);
      const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, message);
      return call.toArray();
    },
    openUpload,
    upload: async (messages, options) => {
      const upload = openUpload(options);
      for (const message of messages) {
        if (upload.isAnswered) break;
        await upload.write(message);
      }
      upload.end();
      return upload.answer;
    },
    close: () => client.close(),
  };
}

function startUpload(client: Client, timeoutMs: number): RawUpload {
  const { path, responseDeserialize } = toMethodDefinition(EmbeddingService.method.embedModel);
  let isAnswered = false;
  let settle: (answer: UploadAnswer) => void = () => {};
  const answer = new Promise<UploadAnswer>((resolve) => {
    settle = resolve;
  });
  const call: ClientWritableStream<Buffer> = client.makeClientStreamRequest(
    path,
    (message: Buffer) => message,
    responseDeserialize,
    { deadline: Date.now() + timeoutMs },
    (error, response) => {
      isAnswered = true;
      if (error !== null) settle({ failure: toFailure(error) });
      else if (response !== undefined) settle({ response });
    },
  );
  call.on("error", () => {});
  return {
    answer,
    get isAnswered() {
      return isAnswered;
    },
    write: async (message) => {
      if (isAnswered) return;
      const bytes = Buffer.isBuffer(message) ? message : encodeMessage(EmbedModelRequestSchema, message);
      if (call.write(bytes)) return;
      let drained: () => void = () => {};
      await Promise.race([
        answer,
        new Promise<void>((resolve) => {
          drained = resolve;
          call.once("drain", resolve);
        }),
      ]);
      call.removeListener("drain", drained);
    },
    end: () => {
      if (!isAnswered) call.end();
    },
    cancel: () => call.cancel(),
  };
}

/** What a failed call says, with the details that the server packed. */
export function toFailure(error: ServiceError): CallFailure {
  const [packed] = error.metadata.get("grpc-status-details-bin");
  const details = packed instanceof Buffer ? fromBinary(StatusSchema, packed) : undefined;
  const info = details?.details.map((detail) => anyUnpack(detail, ErrorInfoSchema))[0];
  return { code: error.code, message: error.details, info, details };
}
