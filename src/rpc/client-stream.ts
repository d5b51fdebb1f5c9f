import type { Client, ClientWritableStream, Metadata, ServiceError } from "@grpc/grpc-js";
import type { Matrix } from "../compute/compute-backend.js";
import {
  EmbeddingService,
  EmbedModelRequestSchema,
  type EmbedModelResponse,
} from "../gen/probestream/v1/embedding_service_pb.js";
import type { ModelPlan, PortAnswer, PortStream } from "../search/embed-port.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import { float32Bytes } from "../weights/safetensors-writer.js";
import { fromModelOutcome } from "./convert/model-outcome.js";
import { toIndexRequest } from "./convert/model-record.js";
import { toWireRange } from "./convert/tensor.js";
import { encodeChunk } from "./encode-chunk.js";
import { fromStatus } from "./from-status.js";
import { encodeMessage, toMethodDefinition } from "./service-definition.js";

/** Opens a stream of models on a connection. */
export function openStream(
  channel: Client,
  target: string,
  metadata: Metadata,
  signal: AbortSignal | undefined,
): PortStream {
  signal?.throwIfAborted();
  const { path, responseDeserialize } = toMethodDefinition(EmbeddingService.method.embedModel);
  let answered = false;
  // Called when a waiting write may go on: the stream drained, or the answer is there.
  let wake: () => void = () => {};
  let settle: (error: ServiceError | null, response?: EmbedModelResponse) => void = () => {};
  const answer = new Promise<EmbedModelResponse>((resolve, reject) => {
    settle = (error, response) => {
      answered = true;
      wake();
      signal?.removeEventListener("abort", abort);
      if (error !== null) reject(fromStatus(error, target));
      else if (response !== undefined) resolve(response);
    };
  });
  // The answer is asked for at the end; a failure before that shows at the next write.
  answer.catch(() => {});
  const call: ClientWritableStream<Buffer> = channel.makeClientStreamRequest(
    path,
    (message: Buffer) => message,
    responseDeserialize,
    metadata,
    (error, response) => settle(error, response),
  );
  const abort = (): void => call.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  // Writes after an early answer fail on the stream; the answer itself tells what there is to tell.
  call.on("error", () => {});
  call.on("drain", () => wake());

  const write = async (message: Buffer): Promise<void> => {
    if (answered) return;
    if (call.write(message)) return;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  };

  return {
    header: (modelId, plan, texts, index) => write(encodeHeader(modelId, plan, texts, index)),
    chunk: (tensorIndex, offset, bytes) => write(encodeChunk(tensorIndex, offset, bytes)),
    footer: (totalBytes, digest) =>
      write(
        encodeMessage(EmbedModelRequestSchema, {
          part: { case: "footer", value: { totalBytes: BigInt(totalBytes), digest: new Uint8Array(digest) } },
        }),
      ),
    get answered() {
      return answered;
    },
    finish: async () => {
      if (!answered) call.end();
      return toAnswer(await answer);
    },
    abort: () => {
      if (!answered) call.cancel();
    },
  };
}

function encodeHeader(
  modelId: string,
  plan: ModelPlan,
  texts: Matrix | undefined,
  index: IndexFacts | undefined,
): Buffer {
  return encodeMessage(EmbedModelRequestSchema, {
    part: {
      case: "header",
      value: {
        modelId,
        uploadId: plan.uploadId,
        tensors: plan.tensors.map(toWireRange),
        spaceIds: [...plan.experts],
        routed: plan.isRouted,
        startOffsets: plan.starts.map(({ offset }) => BigInt(offset)),
        ...(index !== undefined && { index: toIndexRequest(index) }),
        ...(texts !== undefined && {
          textVectors: { data: float32Bytes(texts.values), rows: texts.rows, columns: texts.columns },
        }),
      },
    },
  });
}

function toAnswer({ results, stoppedEarly }: EmbedModelResponse): PortAnswer {
  return {
    stoppedEarly,
    results: results.map((result) => ({ modelId: result.modelId, outcome: fromModelOutcome(result) })),
  };
}
