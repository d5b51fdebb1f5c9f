import { create } from "@bufbuild/protobuf";
import {
  CorruptDataError,
  InternalError,
  LimitExceededError,
  type ProbestreamError,
} from "../errors/probestream-error.js";
import type { ExpertProbes } from "../experts/expert-probes.js";
import {
  EmbeddingService,
  EmbedProjectionRequestSchema,
  ProjectedModelSchema,
  type ProjectedModel as WireModel,
} from "../gen/probestream/v1/embedding_service_pb.js";
import type { PortResult } from "../search/embed-port.js";
import type { ProbingServer } from "../search/probing/probing-server.js";
import { float32Bytes } from "../weights/safetensors-writer.js";
import type { ClientChannel } from "./client-channel.js";
import { fromModelOutcome } from "./convert/model-outcome.js";
import { createIncomingProbes, type IncomingProbes } from "./convert/probes.js";
import { toProjectedModel } from "./convert/projection.js";
import type { ServerLimits } from "./convert/server-info.js";
import { encodeMessage } from "./service-definition.js";

/** Room that a request leaves for its tags and lengths. */
const slackBytes = 4096;

/** Makes the calls of a client that projects by itself. */
export function createProbingClient(
  calls: ClientChannel,
  limits: () => Promise<ServerLimits>,
): Pick<ProbingServer, "probes" | "embedProjections"> {
  const { getProbes, embedProjection } = EmbeddingService.method;
  return {
    probes: async (spaceIds, signal) => {
      const found: ExpertProbes[] = [];
      let open: IncomingProbes | undefined;
      const others = (): CorruptDataError =>
        new CorruptDataError("CORRUPT", `${calls.target} did not send the probes that it was asked for`);
      for await (const { part } of calls.serverStreaming(getProbes, { spaceIds: [...spaceIds] }, signal)) {
        if (part.case === "expert") {
          if (open !== undefined) found.push(open.finish());
          // Before there is memory for it.
          if (part.value.spaceId !== spaceIds[found.length]) throw others();
          open = createIncomingProbes(part.value);
        } else if (part.case === "chunk" && open !== undefined) open.add(part.value.data);
      }
      if (open !== undefined) found.push(open.finish());
      if (found.length < spaceIds.length) throw others();
      return found;
    },

    embedProjections: async ({ models, texts }, signal) => {
      const { maxMessageBytes, maxStreamModels } = await limits();
      const textVectors = texts && { data: float32Bytes(texts.values), rows: texts.rows, columns: texts.columns };
      const room = maxMessageBytes - slackBytes - (textVectors?.data.byteLength ?? 0);
      const outcomes: (PortResult | ProbestreamError)[] = [];
      while (outcomes.length < models.length) {
        const batch: WireModel[] = [];
        let bytes = 0;
        for (const model of models.slice(outcomes.length, outcomes.length + maxStreamModels)) {
          const wire = create(ProjectedModelSchema, toProjectedModel(model));
          const ownBytes = encodeMessage(ProjectedModelSchema, wire).byteLength + 8;
          if (batch.length === 0 && ownBytes > room) {
            outcomes.push(tooLarge(model.modelId, ownBytes, room));
            break;
          }
          if (bytes + ownBytes > room) break;
          batch.push(wire);
          bytes += ownBytes;
        }
        if (batch.length === 0) continue;
        const request = create(EmbedProjectionRequestSchema, { models: batch, ...(textVectors && { textVectors }) });
        const { results } = await calls.unary(embedProjection, request, signal);
        if (results.length === 0 || results.length > batch.length) {
          const message = `${calls.target} answered with ${results.length} results for ${batch.length} models`;
          throw new InternalError("INTERNAL", message);
        }
        outcomes.push(...results.map(fromModelOutcome));
      }
      return outcomes;
    },
  };
}

function tooLarge(modelId: string, bytes: number, limit: number): LimitExceededError {
  const message = `the sums of "${modelId}" take ${bytes} bytes, and the server takes ${limit} at a time beside the text vectors; name fewer experts (--expert), compare with fewer texts, or stream the weights`;
  return new LimitExceededError("LIMIT_EXCEEDED", message, { found: bytes, limit });
}
