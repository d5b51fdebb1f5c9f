import type { ProbestreamError } from "../../errors/probestream-error.js";
import type { ExpertProbes } from "../../experts/expert-probes.js";
import type { EmbedPort, PortResult } from "../embed-port.js";
import type { ProjectionBatch } from "./projected-model.js";

/** What a server does for a client that projects by itself. */
export interface ProbingServer extends Pick<EmbedPort, "maxModels" | "plan"> {
  /**
   * What projects a layer for some experts, in their order.
   *
   * @throws NotFoundError `EXPERT_NOT_FOUND`, CorruptDataError `CORRUPT` for what came damaged.
   */
  probes(spaceIds: readonly string[], signal?: AbortSignal): Promise<ExpertProbes[]>;
  /** Embeds models that were projected here; one outcome each, in order. */
  embedProjections(batch: ProjectionBatch, signal?: AbortSignal): Promise<(PortResult | ProbestreamError)[]>;
}
