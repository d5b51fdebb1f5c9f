import { loadExpertProbes } from "../../experts/expert.js";
import type { ExpertProbes } from "../../experts/expert-probes.js";
import type { Embedder } from "../open-embedder.js";
import { assertPlanned } from "../resident-expert.js";

/** Probes in memory, until they are released. */
export interface OpenedProbes {
  readonly probes: ExpertProbes;
  readonly release: () => void;
}

/**
 * Reads what projects a layer for an expert of the catalogue.
 *
 * Memory: U and V, which the memory plan has room for.
 *
 * @throws NotFoundError `EXPERT_NOT_FOUND`, LimitExceededError `MEMORY_BUDGET`, PreconditionError `PLAN_STALE` if the folder
 * changed meanwhile.
 */
export async function openProbes(
  { catalogue, memory }: Pick<Embedder, "catalogue" | "memory">,
  spaceId: string,
  signal?: AbortSignal,
): Promise<OpenedProbes> {
  const expert = await catalogue.get(spaceId);
  const { probeCount, projectionWidth } = expert.architecture;
  const { rows, columns } = expert.layer.shape;
  const bytes = Float32Array.BYTES_PER_ELEMENT * (columns * probeCount + projectionWidth * rows);
  const release = memory.reserve(bytes, `the probes of the expert "${expert.name}"`, "plan");
  try {
    const probes = await loadExpertProbes(expert.folder, signal);
    assertPlanned(probes.name, probes.spaceId, expert.spaceId);
    return { probes, release };
  } catch (error) {
    release();
    throw error;
  }
}
