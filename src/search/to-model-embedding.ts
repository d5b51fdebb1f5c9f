import { InternalError } from "../errors/probestream-error.js";
import { toProbabilities } from "../experts/head.js";
import type { WorkerResult } from "./embed-messages.js";
import type { ModelEmbedding } from "./embed-stream.js";
import type { EmbeddingPlan } from "./plan-embedding.js";

/** What is known of a model's way besides what its worker did. */
export interface ModelArrival {
  readonly bytesReceived: number;
  readonly receiveMs: number;
  readonly waitMs: number;
  /** When its header came, as `performance.now` counts. */
  readonly startedAt: number;
}

/** A worker's result with what the plan and the way here say of it. */
export function toModelEmbedding(plan: EmbeddingPlan, result: WorkerResult, arrival: ModelArrival): ModelEmbedding {
  const { targets, sums, rowsProjected, weightsHash, times, backends } = result;
  const { bytesReceived, receiveMs, waitMs, startedAt } = arrival;
  return {
    embeddings: targets.map(({ target, ...scores }) => {
      const expert = plan.targets[target]?.expert;
      if (expert === undefined)
        throw new InternalError("INTERNAL", "a worker answered for a target that was not asked for");
      return { expert, ...scores, probabilities: toProbabilities(scores.logits) };
    }),
    ...(sums !== undefined && { sums }),
    bytesReceived,
    bytesTotal: plan.totalBytes,
    rowsProjected,
    weightsHash,
    timings: {
      total: performance.now() - startedAt,
      receive: receiveMs,
      wait: waitMs,
      digest: times.digestMs,
      project: times.projectMs,
      head: times.headMs,
    },
    backends,
  };
}
