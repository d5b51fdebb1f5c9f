import type { BackendUse, RowBlock } from "../compute/compute-backend.js";
import { InternalError } from "../errors/probestream-error.js";
import type { Accumulator, LayerMatrices, Projector, StatePart } from "../projection/accumulator.js";
import { segmentBytes } from "../projection/segments.js";
import { sliceColumns } from "../projection/slice-columns.js";
import type { WorkerTarget } from "./embed-messages.js";

/** The accumulators of a model's targets, fed with the same rows. */
export interface TargetLanes {
  /** Takes in rows of a tensor: at once, or, while it is open which targets serve, later and for these alone. */
  add(tensorIndex: number, block: RowBlock): Promise<void>;
  /** Whether a target could still be finished: all rows so far were fed to it, or are kept. */
  canServe(target: number): boolean;
  /** Lets go of targets that cannot serve any more, and hands what was kept to the others. */
  settle(): Promise<void>;
  /** Per target; of one that was let go nothing. Call {@link settle} first. */
  state(): Promise<StatePart[][]>;
  restore(states: readonly (readonly StatePart[])[]): Promise<void>;
  uses(): BackendUse[];
  /** The responses of one target; those of the others are given up if they were not asked for. */
  finish(target: number): Promise<Float32Array>;
  /** What one target's accumulator summed up to, for another process to finish. Where there was nothing to choose. */
  total(target: number): Promise<StatePart[]>;
  /** Takes the totals of a whole layer, per target; throws as `Accumulator.adopt`. */
  adopt(totals: readonly (readonly StatePart[])[]): Promise<void>;
  dispose(): Promise<void>;
}

/** Bytes of rows that are kept at most while it is open which target serves: what a checkpoint would hand on anyway. */
export const maxKeptBytes = segmentBytes;

type LaneTarget = WorkerTarget & { readonly projector: Projector };

/**
 * Opens the lanes of a model.
 *
 * A choice is mostly made by a few thousandths of the rows. These are kept until then, so that candidates cost no time, and
 * if that takes longer than 8 MiB all that are left are projected side by side.
 *
 * Memory: the targets' accumulators, and with a choice 8 MiB of rows.
 *
 * @param possible where one of the targets is to be chosen: those that still may be.
 */
export function createTargetLanes(
  targets: readonly LaneTarget[],
  possible: (() => readonly number[]) | undefined,
): TargetLanes {
  const lanes = new Map<number, Accumulator>();
  /** Targets that all rows were fed to, once rows are kept no more. */
  let served = new Set(targets.keys());
  let kept: { readonly tensorIndex: number; readonly block: RowBlock }[] | undefined = possible && [];
  let keptBytes = 0;

  const open = (target: number): Accumulator => {
    const { projector, uses } = targets[target] as LaneTarget;
    const known = lanes.get(target);
    const matrices: LayerMatrices = Object.fromEntries(uses.map(({ role, matrix }) => [role, matrix]));
    const lane = known ?? projector.open(matrices);
    lanes.set(target, lane);
    return lane;
  };
  const feed = async (target: number, tensorIndex: number, block: RowBlock): Promise<void> => {
    const lane = open(target);
    for (const { role, tensorIndex: own, matrix } of (targets[target] as LaneTarget).uses) {
      if (own === tensorIndex) await lane.add(role, sliceColumns(block, matrix.columns));
    }
  };
  const wanted = (): readonly number[] => {
    const allowed = possible?.();
    return allowed === undefined ? [...served] : allowed.filter((target) => served.has(target));
  };
  const settle = async (): Promise<void> => {
    const serving = wanted();
    served = new Set(serving);
    for (const [target, lane] of lanes) {
      if (serving.includes(target)) continue;
      lanes.delete(target);
      await lane.dispose();
    }
    const rows = kept ?? [];
    kept = undefined;
    for (const { tensorIndex, block } of rows) for (const target of serving) await feed(target, tensorIndex, block);
  };
  if (possible === undefined) for (const target of targets.keys()) open(target);

  return {
    add: async (tensorIndex, block) => {
      if (kept === undefined) {
        for (const target of wanted()) await feed(target, tensorIndex, block);
        return;
      }
      kept.push({ tensorIndex, block: { ...block, bytes: block.bytes.slice() } });
      keptBytes += block.bytes.byteLength;
      if (keptBytes > maxKeptBytes) await settle();
    },
    canServe: (target) => served.has(target),
    settle,
    state: async () => {
      const states: StatePart[][] = [];
      // One after another: accumulators share a backend, which belongs to one caller at a time.
      for (const target of targets.keys()) states.push((await lanes.get(target)?.state()) ?? []);
      return states;
    },
    restore: async (states) => {
      kept = undefined;
      served = new Set(states.flatMap((parts, target) => (parts.length > 0 ? [target] : [])));
      for (const target of served) await open(target).restore(states[target] ?? []);
    },
    uses: () => [...lanes.values()].flatMap((lane) => lane.uses()),
    finish: async (target) => {
      if (!served.has(target)) throw new InternalError("INTERNAL", `target ${target} was not fed with all rows`);
      const rows = kept ?? [];
      kept = undefined;
      for (const { tensorIndex, block } of rows) await feed(target, tensorIndex, block);
      return open(target).finish();
    },
    total: (target) => open(target).total(),
    adopt: async (totals) => {
      kept = undefined;
      for (const [target, parts] of totals.entries()) await open(target).adopt(parts);
    },
    dispose: async () => {
      for (const lane of lanes.values()) await lane.dispose();
    },
  };
}
