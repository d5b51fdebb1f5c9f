import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, type ClientWritableStream, credentials, Metadata } from "@grpc/grpc-js";
import type { EmbedModelRequestSchema, PlannedModel } from "../src/gen/probestream/v1/embedding_service_pb.js";
import { EmbeddingService, type EmbedModelResponse } from "../src/gen/probestream/v1/embedding_service_pb.js";
import { type GetServerInfoResponse, ServerService } from "../src/gen/probestream/v1/server_service_pb.js";
import type { ManifestSchema } from "../src/gen/probestream/v1/types_pb.js";

/** A message of an upload, before it is made. */
export type UploadMessage = MessageInitShape<typeof EmbedModelRequestSchema>;

/** An upload that is open. */
export interface Upload {
  /** Hands one message to the transport; resolves when it is written out, rejects if the call ended meanwhile. */
  write(message: UploadMessage): Promise<void>;
  /** Ends the stream. */
  end(): void;
  /** The server's answer. */
  readonly response: Promise<EmbedModelResponse>;
}

/** The few calls that the benches make themselves, apart from the package's own client so that neither hides the other's faults. */
export interface BenchClient {
  /** Plans one model; throws with the server's words if it gets none. */
  plan(manifest: MessageInitShape<typeof ManifestSchema>): Promise<PlannedModel>;
  getServerInfo(): Promise<GetServerInfoResponse>;
  startUpload(): Upload;
  close(): void;
}

const UNARY_MS = 30_000;
const UPLOAD_MS = 600_000;

/** Opens a plaintext connection to a server on this machine. */
export function createBenchClient(target: string): BenchClient {
  const client = new Client(target, credentials.createInsecure(), {
    "grpc-node.flow_control_window": 1024 * 1024,
    "grpc.use_local_subchannel_pool": 1,
    // With retries the first MiB of a call counts as written while it lies in a buffer.
    "grpc.enable_retries": 0,
  });
  const call = <I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
  ): Promise<MessageShape<O>> =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + UNARY_MS;
      const done = (error: Error | null, value?: MessageShape<O>): void => {
        if (value === undefined) reject(error ?? new Error(`${method.name} answered nothing`));
        else resolve(value);
      };
      const [serialize, deserialize] = [toSerializer(method.input), toDeserializer(method.output)];
      client.makeUnaryRequest(
        toPath(method),
        serialize,
        deserialize,
        create(method.input, input),
        new Metadata(),
        { deadline },
        done,
      );
    });
  return {
    async plan(manifest) {
      const { plans } = await call(EmbeddingService.method.planEmbedding, { manifests: [manifest] });
      const outcome = plans[0]?.outcome;
      if (outcome?.case !== "planned") throw new Error(`no plan: ${outcome?.value?.message ?? "empty answer"}`);
      return outcome.value;
    },
    getServerInfo: () => call(ServerService.method.getServerInfo, {}),
    startUpload: () => startUpload(client),
    close: () => client.close(),
  };
}

function startUpload(client: Client): Upload {
  const method = EmbeddingService.method.embedModel;
  let call: ClientWritableStream<MessageShape<typeof method.input>> | undefined;
  const response = new Promise<EmbedModelResponse>((resolve, reject) => {
    const options = { deadline: Date.now() + UPLOAD_MS };
    const [serialize, deserialize] = [toSerializer(method.input), toDeserializer(method.output)];
    call = client.makeClientStreamRequest(
      toPath(method),
      serialize,
      deserialize,
      new Metadata(),
      options,
      (error, value) => {
        if (value === undefined) reject(error ?? new Error("EmbedModel answered nothing"));
        else resolve(value);
      },
    );
  });
  const open = call;
  if (open === undefined) throw new Error("the call did not open");
  // A server that answers early, or dies, ends the upload under the writer's hands.
  const answered = response.then(() => {
    throw new Error("the server answered before the end of the upload");
  });
  answered.catch(() => undefined);
  return {
    response,
    end: () => open.end(),
    write: (message) => {
      const written = new Promise<void>((resolve) => {
        // After a failure the status says more than the write does, so only it is waited for.
        open.write(create(method.input, message), (error?: Error | null) => {
          if (!error) resolve();
        });
      });
      return Promise.race([answered, written]);
    },
  };
}

function toPath(method: DescMethodUnary | DescMethodStreaming): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** grpc-js calls Buffer methods on what a serializer returns, so the bytes are wrapped; no copy. */
function toSerializer<D extends DescMessage>(schema: D): (message: MessageShape<D>) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function toDeserializer<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(schema, bytes);
}
