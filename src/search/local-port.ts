import { toProbestreamError } from "../errors/plain-error.js";
import type { EmbedPort, PortResult } from "./embed-port.js";
import type { ModelEmbedding } from "./embed-stream.js";
import type { Embedder } from "./open-embedder.js";
import { planModel } from "./plan-model.js";

/** Embeds in this process: the same path as on a server, without the wire. Closing it closes the embedder. */
export function createLocalPort(embedder: Embedder): EmbedPort {
  return {
    maxModels: embedder.limits.maxStreamModels,
    plan: (requests) =>
      Promise.all(
        requests.map(async (request) => {
          try {
            return (await planModel(embedder, request)).answer;
          } catch (error) {
            return toProbestreamError(error);
          }
        }),
      ),
    open: async (signal) => {
      signal?.throwIfAborted();
      const stream = embedder.openStream();
      const abort = (): void => stream.abort();
      signal?.addEventListener("abort", abort, { once: true });
      const letGo = (): void => signal?.removeEventListener("abort", abort);
      return {
        header: (modelId, plan, texts, index) =>
          stream.header({
            modelId,
            uploadId: plan.uploadId,
            tensors: plan.tensors,
            experts: plan.experts,
            isRouted: plan.isRouted,
            startOffsets: plan.starts.map(({ offset }) => offset),
            ...(texts !== undefined && { texts }),
            index,
          }),
        chunk: (tensorIndex, offset, bytes) => stream.chunk(tensorIndex, offset, bytes),
        footer: (totalBytes, digest) => stream.footer({ totalBytes, digest }),
        get answered() {
          return stream.shouldStop;
        },
        finish: async () => {
          const outcomes = await stream.finish().finally(letGo);
          const results = outcomes.map(({ modelId, outcome }) => ({
            modelId,
            outcome: outcome instanceof Error ? outcome : toPortResult(outcome),
          }));
          return { results, stoppedEarly: false };
        },
        abort: () => {
          letGo();
          abort();
        },
      };
    },
    close: () => embedder.close(),
  };
}

function toPortResult({ embeddings, ...rest }: ModelEmbedding): PortResult {
  return {
    ...rest,
    embeddings: embeddings.map(({ expert, ...scores }) => ({
      ...scores,
      spaceId: expert.spaceId,
      expertName: expert.name,
      labels: expert.objective === "classification" ? expert.labels : [],
    })),
  };
}
