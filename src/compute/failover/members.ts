import { InternalError, UnavailableError } from "../../errors/probestream-error.js";
import type { ComputeBackend } from "../compute-backend.js";

/** A backend that may be used. */
export interface BackendCandidate {
  readonly name: string;
  create(): Promise<ComputeBackend>;
}

/** A candidate, and what became of it. */
export interface Member {
  readonly candidate: BackendCandidate;
  /** Absent before its first use and while it is out of service. */
  backend: ComputeBackend | undefined;
  /** Its start, while that goes on. */
  starting: Promise<ComputeBackend> | undefined;
  /** When it may be tried again, on the clock of `performance.now`; absent unless it failed. */
  restsUntil: number | undefined;
  /** Why it failed the last time. */
  failure: unknown;
}

/** A member with the backend it had when it was selected. */
export interface Selected {
  readonly member: Member;
  readonly backend: ComputeBackend;
}

/** The candidates of a failover backend, best first, in service or not. */
export interface Members {
  readonly count: number;
  /** The backend in use: the first that is in service. */
  readonly inUse: ComputeBackend | undefined;
  isInService(backend: ComputeBackend): boolean;
  /**
   * Gives the first backend in service. One whose rest is over has to prove itself first.
   *
   * @param except members that are of no use to the caller.
   * @throws UnavailableError `BACKEND_UNAVAILABLE` if there is none.
   */
  select(except?: Pick<ReadonlySet<Member>, "has">): Promise<Selected>;
  /**
   * Judges a backend that failed someone. One that does a small product right stays in service: it cannot do what it was
   * asked for, and may be of use to others. Any other is retired, unless that has been done: it is let go with all that
   * it holds.
   */
  survives(selected: Selected, error: unknown): Promise<boolean>;
  dispose(): Promise<void>;
}

/** Creates members, none of them started. `restMs` is how long one that failed is left alone, unless it is the last. */
export function createMembers(
  candidates: readonly BackendCandidate[],
  restMs: number,
  onFault: (error: unknown) => void,
): Members {
  const members: Member[] = candidates.map((candidate) => ({
    candidate,
    backend: undefined,
    starting: undefined,
    restsUntil: undefined,
    failure: undefined,
  }));

  const isResting = ({ restsUntil }: Member): boolean => restsUntil !== undefined && performance.now() < restsUntil;

  const rest = (member: Member, error: unknown): void => {
    const { backend } = member;
    // The last one is tried again at once: there is no other.
    const isLast = members.every((other) => other === member || isResting(other));
    member.backend = undefined;
    member.restsUntil = performance.now() + (isLast ? 0 : restMs);
    member.failure = error;
    onFault(error);
    backend?.dispose().catch(onFault);
  };

  /** Starts a member that is not running; one that failed before must prove itself. */
  const start = async (member: Member): Promise<ComputeBackend> => {
    const backend = await member.candidate.create();
    if (member.restsUntil !== undefined) {
      await assertWorks(backend).catch(async (error: unknown) => {
        await backend.dispose().catch(onFault);
        throw error;
      });
    }
    return backend;
  };

  const startOnce = (member: Member): Promise<ComputeBackend> => {
    member.starting ??= start(member).finally(() => {
      member.starting = undefined;
    });
    return member.starting;
  };

  return {
    count: members.length,
    get inUse() {
      return members.find(({ backend }) => backend !== undefined)?.backend;
    },
    isInService: (backend) => members.some((member) => member.backend === backend),
    select: async (except) => {
      let last: unknown;
      for (const member of members) {
        if (except?.has(member)) continue;
        if (isResting(member)) {
          last = member.failure;
          continue;
        }
        try {
          member.backend ??= await startOnce(member);
          member.restsUntil = undefined;
          return { member, backend: member.backend };
        } catch (error) {
          last = error;
          rest(member, error);
        }
      }
      const names = candidates.map(({ name }) => name).join(", ");
      const why = last instanceof Error ? `: ${last.message}` : "";
      throw new UnavailableError(
        "BACKEND_UNAVAILABLE",
        `no compute backend is in service (of ${names})${why}; try again later, or start the server with another --backend`,
        { backends: names },
        { cause: last },
      );
    },
    survives: async ({ member, backend }, error) => {
      if (member.backend !== backend) return false;
      try {
        await assertWorks(backend);
      } catch {
        // Someone else may have retired it meanwhile.
        if (member.backend === backend) rest(member, error);
        return false;
      }
      onFault(error);
      return true;
    },
    dispose: async () => {
      for (const member of members) {
        await member.backend?.dispose();
        member.backend = undefined;
      }
    },
  };
}

/** Checks a backend on a product that can be done in the head: [1 2]ᵀ·3·[4 5]. */
async function assertWorks(backend: ComputeBackend): Promise<void> {
  const product = await backend.load({
    left: { rows: 1, columns: 2, values: Float32Array.of(1, 2) },
    right: { rows: 1, columns: 2, values: Float32Array.of(4, 5) },
  });
  const sum = product.open({ rows: 1, columns: 1 });
  const bytes = new Uint8Array(Float32Array.of(3).buffer);
  await sum.add({ bytes, dtype: "F32", rowBegin: 0, rowCount: 1, columnCount: 1 });
  const found = (await sum.read()).slice();
  await sum.dispose();
  await product.dispose();
  if ([12, 15, 24, 30].every((value, i) => Math.abs(value - (found[i] ?? Number.NaN)) < 1e-3)) return;
  throw new InternalError("INTERNAL", `the backend ${backend.name} still gives wrong numbers: ${Array.from(found)}`);
}
