import { InvalidInputError, LimitExceededError, ProbestreamError } from "../../errors/probestream-error.js";
import type { ModelOutcome } from "../../search/embed-stream.js";
import type { Embedder } from "../../search/open-embedder.js";
import { maxExpertsPerModel } from "../../search/plan-embedding.js";
import { openProbes } from "../../search/probing/open-probes.js";
import type { ProjectedModel } from "../../search/probing/projected-model.js";
import { unlessAborted } from "../../search/unless-aborted.js";
import { fromWireTexts } from "../convert/matrix.js";
import { toModelResult } from "../convert/model-result.js";
import { toProbesMessages } from "../convert/probes.js";
import { fromProjectedModel } from "../convert/projection.js";
import { maxNameLength } from "../convert/tensor.js";
import { createIdleTimer, toEndError } from "../next-message.js";
import type { ReportFault } from "../to-status.js";
import { tryTo } from "../try-to.js";
import type { EmbeddingService } from "./embedding-service.js";

/**
 * Creates the handlers for clients that project by themselves.
 *
 * @param closing aborted when the server gives open streams up.
 */
export function createProbingHandlers(
  embedder: Embedder,
  closing: AbortSignal,
  report: ReportFault,
): Pick<EmbeddingService, "getProbes" | "embedProjection"> {
  const { limits } = embedder;
  return {
    getProbes: async ({ spaceIds }, { send, signal }) => {
      assertSpaceIds(spaceIds);
      // A client that takes nothing must not hold probes in memory.
      const idle = createIdleTimer(limits.streamIdleMs);
      const stop = AbortSignal.any([signal, closing, idle.signal]);
      idle.pause();
      try {
        for (const spaceId of spaceIds) {
          const { probes, release } = await openProbes(embedder, spaceId, stop);
          try {
            for (const message of toProbesMessages(probes)) {
              idle.start();
              await unlessAborted(send(message), stop);
              idle.pause();
            }
          } finally {
            release();
          }
        }
      } catch (error) {
        throw toEndError(idle.signal, closing, limits.streamIdleMs, "the answer") ?? error;
      } finally {
        idle.stop();
      }
    },

    embedProjection: async ({ models, textVectors }, signal) => {
      if (models.length === 0 || models.length > limits.maxStreamModels) {
        throw new LimitExceededError(
          "LIMIT_EXCEEDED",
          `the request has ${models.length} models; 1 to ${limits.maxStreamModels} are embedded at a time`,
          { found: models.length, limit: limits.maxStreamModels },
        );
      }
      const texts = textVectors && fromWireTexts(textVectors, limits.maxTextVectors);
      const read = models.map((model) => tryTo(() => fromProjectedModel(model)));
      const sound = read.flatMap((one): ProjectedModel[] => (one instanceof ProbestreamError ? [] : [one]));
      const outcomes = sound.length === 0 ? [] : await embedder.embedProjections({ models: sound, texts }, signal);
      const answered: ModelOutcome[] = [];
      for (const [index, one] of read.entries()) {
        const outcome =
          one instanceof ProbestreamError ? toRefusal(models[index]?.modelId ?? "", one) : outcomes.shift();
        if (outcome === undefined) break;
        answered.push(outcome);
      }
      return {
        results: answered.map((outcome) => toModelResult(outcome, report)),
        stoppedEarly: answered.length < models.length,
      };
    },
  };
}

/** A model that could not be read. Its id goes back with the answer, which must not grow with it. */
function toRefusal(modelId: string, outcome: ProbestreamError): ModelOutcome {
  return { modelId: modelId.slice(0, maxNameLength), uploadId: "", outcome };
}

function assertSpaceIds(spaceIds: readonly string[]): void {
  if (spaceIds.length === 0 || spaceIds.length > maxExpertsPerModel) {
    const message = `the request has ${spaceIds.length} space_ids; the probes of 1 to ${maxExpertsPerModel} experts are sent at a time`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { found: spaceIds.length, limit: maxExpertsPerModel });
  }
  const twice = spaceIds.find((spaceId, index) => spaceIds.indexOf(spaceId) !== index);
  if (twice === undefined) return;
  throw new InvalidInputError("DUPLICATE", `the space id ${twice.slice(0, 80)} stands twice`, {});
}
