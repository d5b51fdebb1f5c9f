import type { ComputeBackend } from "./compute-backend.js";
import { type BackendCandidate, createMembers } from "./failover/members.js";
import { openMovingSum } from "./failover/moving-sum.js";
import { createSharedProduct } from "./failover/shared-product.js";

/** How a failover backend is set up. */
export interface FailoverOptions {
  /** Hears of each failure of a backend; the work goes on. */
  readonly onFault?: (error: unknown) => void;
  /** How long a backend that failed is left alone, in milliseconds. Default half a minute; the last one is tried at once. */
  readonly restMs?: number;
}

/** How long a backend that failed is left alone before it is tried again, in milliseconds. */
const defaultRestMs = 30_000;

/**
 * Several backends as one: the first that works does the work, and where one fails in the middle of a sum the next goes
 * on with it. A backend that failed is put to the proof at once: where a small product comes out right on it, only the
 * sum or product that it failed goes elsewhere; else it is out of service until one does.
 *
 * What a CPU holds survives its failure, so its sum before the block that failed is handed on. Of a volatile backend
 * nothing may be left: its sums are read back every 4 MiB, and the blocks since then are kept and added again.
 *
 * Memory: as the backend in use, and for volatile ones 4 MiB, or one block, per open sum.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if none of the candidates starts.
 */
export async function createFailoverBackend(
  candidates: readonly BackendCandidate[],
  { onFault = () => {}, restMs = defaultRestMs }: FailoverOptions = {},
): Promise<ComputeBackend> {
  const members = createMembers(candidates, restMs, onFault);
  const { backend: first } = await members.select();
  return {
    get name() {
      return (members.inUse ?? first).name;
    },
    get device() {
      return (members.inUse ?? first).device;
    },
    get isVolatile() {
      return (members.inUse ?? first).isVolatile;
    },
    load: async (sides, again) => {
      const shared = createSharedProduct(members, sides, again, onFault);
      // At once, so that the first block does not wait, and what fits nowhere is said now.
      const { product } = await shared.select();
      return {
        residentBytes: product.residentBytes,
        open: (x) => openMovingSum(members, shared, x),
        dispose: shared.dispose,
      };
    },
    dispose: members.dispose,
  };
}
