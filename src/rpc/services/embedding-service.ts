import { create } from "@bufbuild/protobuf";
import { InvalidInputError, LimitExceededError, ProbestreamError } from "../../errors/probestream-error.js";
import {
  type EmbedModelRequest,
  type EmbedModelRequestSchema,
  type EmbedModelResponse,
  EmbedModelResponseSchema,
  type EmbedProjectionRequestSchema,
  type EmbedProjectionResponseSchema,
  type GetProbesRequestSchema,
  type GetProbesResponseSchema,
  type ModelPlan,
  ModelPlanSchema,
  type PlanEmbeddingRequestSchema,
  type PlanEmbeddingResponseSchema,
} from "../../gen/probestream/v1/embedding_service_pb.js";
import type { Manifest } from "../../gen/probestream/v1/types_pb.js";
import type { EmbedStream, ModelOutcome } from "../../search/embed-stream.js";
import type { Embedder } from "../../search/open-embedder.js";
import { planModel } from "../../search/plan-model.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import type { ClientStreaming, Incoming, ServerStreaming, Unary } from "../call.js";
import { fromHeader, toRefusedHeader } from "../convert/embedding.js";
import { toModelResult } from "../convert/model-result.js";
import { fromManifest, toPlannedModel } from "../convert/plan.js";
import { toCount } from "../convert/tensor.js";
import { createGarbageCounter } from "../garbage-counter.js";
import { createIdleTimer, nextUnless, toEndError } from "../next-message.js";
import { releaseMessage } from "../release-message.js";
import { type ReportFault, toPublicModelError } from "../to-status.js";
import { tryTo } from "../try-to.js";
import { createProbingHandlers } from "./probing-handlers.js";

/** Handlers of the embedding service. */
export interface EmbeddingService {
  readonly planEmbedding: Unary<typeof PlanEmbeddingRequestSchema, typeof PlanEmbeddingResponseSchema>;
  readonly embedModel: ClientStreaming<typeof EmbedModelRequestSchema, typeof EmbedModelResponseSchema>;
  readonly getProbes: ServerStreaming<typeof GetProbesRequestSchema, typeof GetProbesResponseSchema>;
  readonly embedProjection: Unary<typeof EmbedProjectionRequestSchema, typeof EmbedProjectionResponseSchema>;
}

/** Models planned at a time; each may have a saved upload read. */
const plansAtOnce = 8;

/** Bytes of a decoded tensor description of a manifest, and of what is made of it: 453 measured. */
const bytesPerTensor = 512;

/**
 * Creates the handlers.
 *
 * @param closing aborted when the server gives open streams up.
 */
export function createEmbeddingService(
  embedder: Embedder,
  closing: AbortSignal,
  report: ReportFault,
): EmbeddingService {
  const { limits } = embedder;
  const garbage = createGarbageCounter();
  return {
    planEmbedding: async ({ manifests }, signal) => {
      if (manifests.length === 0 || manifests.length > limits.maxPlanModels) {
        throw new LimitExceededError(
          "LIMIT_EXCEEDED",
          `the request has ${manifests.length} manifests; 1 to ${limits.maxPlanModels} are planned at a time`,
          { found: manifests.length, limit: limits.maxPlanModels },
        );
      }
      const release = embedder.memory.reserve(decodedBytes(manifests), "the manifests of a plan", "plan");
      try {
        const plans = await mapConcurrently(manifests, plansAtOnce, async (manifest) => {
          signal.throwIfAborted();
          return plan(manifest);
        });
        return { plans };
      } finally {
        release();
      }
    },

    embedModel: async (incoming) => {
      const stream = embedder.openStream();
      try {
        return toResponse(...(await receive(stream, incoming)));
      } finally {
        stream.abort();
      }
    },

    ...createProbingHandlers(embedder, closing, report),
  };

  async function plan(manifest: Manifest): Promise<ModelPlan> {
    const { modelId } = manifest;
    try {
      const { plan: planned, answer } = await planModel(embedder, fromManifest(manifest, limits));
      return create(ModelPlanSchema, {
        modelId,
        outcome: { case: "planned", value: toPlannedModel(planned, answer) },
      });
    } catch (error) {
      return create(ModelPlanSchema, { modelId, outcome: { case: "error", value: toPublicModelError(error, report) } });
    }
  }

  /** Feeds the stream until the client is done or there is reason to answer early. */
  async function receive(
    stream: EmbedStream,
    { messages, signal }: Incoming<EmbedModelRequest>,
  ): Promise<[ModelOutcome[], boolean]> {
    const idle = createIdleTimer(limits.streamIdleMs);
    const stop = AbortSignal.any([signal, closing, idle.signal]);
    try {
      for (;;) {
        idle.start();
        const next = await nextUnless(stop, messages);
        idle.pause();
        if (next === undefined || next.done === true) break;
        const { part } = next.value;
        if (part.case === "header" && stream.isFull) return [await stream.finish(), true];
        await take(stream, part);
        if (part.case === "chunk") {
          garbage.add(part.value.data.byteLength);
          releaseMessage(part.value.data);
        }
        if (stream.shouldStop) return [await stream.finish(), true];
      }
      const gone = toEndError(idle.signal, closing, limits.streamIdleMs, "the upload");
      const outcomes = await stream.finish(gone);
      // Results of models that were finished before must not be lost with the one that was cut off.
      if (gone !== undefined && !outcomes.some(({ outcome }) => !(outcome instanceof Error))) throw gone;
      return [outcomes, gone !== undefined];
    } finally {
      idle.stop();
    }
  }

  async function take(stream: EmbedStream, part: EmbedModelRequest["part"]): Promise<void> {
    switch (part.case) {
      case "header": {
        const header = tryTo(() => fromHeader(part.value, limits));
        if (header instanceof ProbestreamError) return stream.refuse({ ...toRefusedHeader(part.value), error: header });
        return stream.header(header);
      }
      case "chunk": {
        const { tensorIndex, offset, data } = part.value;
        const count = tryTo(() => toCount(offset, "chunk.offset"));
        if (count instanceof ProbestreamError) return stream.fail(count);
        return stream.chunk(tensorIndex, count, data);
      }
      case "footer": {
        const { totalBytes, digest } = part.value;
        const count = tryTo(() => toCount(totalBytes, "total_bytes"));
        if (count instanceof ProbestreamError) await stream.fail(count);
        return stream.footer({ totalBytes: count instanceof ProbestreamError ? 0 : count, digest });
      }
      default:
        throw new InvalidInputError("STREAM_ORDER", "a message holds neither header nor chunk nor footer");
    }
  }

  function toResponse(outcomes: readonly ModelOutcome[], stoppedEarly: boolean): EmbedModelResponse {
    return create(EmbedModelResponseSchema, {
      stoppedEarly,
      results: outcomes.map((outcome) => toModelResult(outcome, report)),
    });
  }
}

/** Bytes that the manifests of a plan take while it is made, about. */
function decodedBytes(manifests: readonly Manifest[]): number {
  return manifests.reduce((sum, { tensors }) => sum + (tensors.length + 1) * bytesPerTensor, 0);
}
