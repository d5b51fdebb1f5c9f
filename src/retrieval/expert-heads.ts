import { PreconditionError } from "../errors/probestream-error.js";
import type { Linear } from "../experts/checkpoint.js";
import { type Expert, loadExpertHead } from "../experts/expert.js";
import { createLruCache } from "../text/lru-cache.js";
import type { Admit } from "./batch-gate.js";

/** Heads of experts: H and c of zero-shot experts, T and c of classification experts. */
export interface ExpertHeads {
  /**
   * The head of an expert, read when it is first asked for: that takes as long as its whole state dict takes to read.
   *
   * @throws PreconditionError `PLAN_STALE` if the folder holds another expert by now; what reading throws; what the memory
   * plan throws if it has no room.
   */
  get(expert: Expert): Promise<Linear>;
}

/** 64 MiB: 170 heads of 128 × 768 numbers. */
const maxHeadBytes = 64 * 1024 * 1024;

interface Loaded {
  readonly head: Promise<Linear>;
  readonly release: () => void;
}

/** Keeps the heads that were used last, 64 MiB of them. `admit` reserves their bytes. */
export function createExpertHeads(admit: Admit): ExpertHeads {
  const heads = createLruCache<string, Loaded>(maxHeadBytes, ({ release }) => release());
  return {
    get: async (expert) => {
      const known = heads.get(expert.spaceId);
      if (known !== undefined) return known.head;
      const bytes = headBytes(expert);
      const release = admit(bytes, `the head of the expert "${expert.name}"`, "head");
      const head = load(expert);
      heads.set(expert.spaceId, { head, release }, bytes);
      // What failed once may work the next time.
      head.catch(() => heads.delete(expert.spaceId));
      return head;
    },
  };
}

function headBytes({ objective, representationWidth, textWidth, labelCount }: Expert): number {
  const rows = objective === "zeroshot" ? representationWidth : labelCount;
  const columns = objective === "zeroshot" ? textWidth : representationWidth;
  return Float32Array.BYTES_PER_ELEMENT * rows * (columns + 1);
}

async function load({ folder, name, spaceId }: Expert): Promise<Linear> {
  const { expert, head } = await loadExpertHead(folder);
  if (expert.spaceId === spaceId) return head;
  throw new PreconditionError(
    "PLAN_STALE",
    `the expert "${name}" changed from ${spaceId.slice(0, 12)} to ${expert.spaceId.slice(0, 12)}; ask again`,
    { expected: spaceId, found: expert.spaceId },
  );
}
