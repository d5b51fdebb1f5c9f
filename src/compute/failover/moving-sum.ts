import { InternalError } from "../../errors/probestream-error.js";
import { dtypeBytes } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import { createPlainBackend } from "../backends/plain.js";
import type { BackendUse, RowBlock, RunningSum } from "../compute-backend.js";
import { assertBlockFits, type Extents, toSumShape } from "../product-shape.js";
import { keptBlockBytes } from "./kept-block-bytes.js";
import type { Member, Members, Selected } from "./members.js";
import type { SharedProduct } from "./shared-product.js";

/** A sum where it is computed now. */
interface Place extends Selected {
  readonly sum: RunningSum;
}

/** Opens a sum that goes on with another backend when its own fails. */
export function openMovingSum(members: Members, product: SharedProduct, x: Extents): RunningSum {
  const { rows, columns } = toSumShape(product, x);
  let uses: BackendUse[] = [];
  let place: Place | undefined;
  /** The sum when it was last known; absent for zero. */
  let saved: Float32Array | undefined;
  /** Blocks of a volatile sum added since then. */
  let kept: RowBlock[] = [];
  /** Whether it is known why the sum is not finite: a number of a block, or an overflow. */
  let isSpoilt = false;
  /** Members that work and could not do what this sum asks for, and what they said. */
  const refused = new Map<Member, unknown>();

  /** Takes the sum as it was saved, with the blocks since, to the first backend that can go on with it. */
  const settle = async (): Promise<Place> => {
    for (let failures = 0; ; failures++) {
      const { member, backend, product: resident } = await product.select(refused);
      let sum: RunningSum | undefined;
      try {
        sum = resident.open(x);
        if (saved !== undefined) await sum.restore(saved);
        for (const block of kept) await sum.add(block);
      } catch (error) {
        if (failures === members.count) throw error;
        await giveUp({ member, backend, sum }, error);
        continue;
      }
      const next = { member, backend, sum };
      place = next;
      uses = withRows(uses, next, rowsOf(kept));
      // In what a CPU holds they are in for good.
      if (!backend.isVolatile) kept = [];
      return next;
    }
  };

  /** Finds out whether a place failed because of its backend or because of what it was asked for. */
  const giveUp = async (failed: Selected & { readonly sum: RunningSum | undefined }, error: unknown): Promise<void> => {
    if (!(await members.survives(failed, error))) return;
    refused.set(failed.member, error);
    await failed.sum?.dispose().catch(() => {});
  };

  /** Leaves a place that failed. */
  const leave = async (failed: Place, error: unknown): Promise<void> => {
    place = undefined;
    // What a CPU holds survives; without it the sum is lost, and so is the model.
    if (!failed.backend.isVolatile) saved = (await failed.sum.read()).slice();
    uses = withRows(uses, failed, -rowsOf(kept));
    await giveUp(failed, error);
  };

  const here = async (): Promise<Place> => {
    // Its backend may have failed under another sum.
    if (place !== undefined && place.member.backend !== place.backend) {
      await leave(place, new InternalError("INTERNAL", `the backend ${place.backend.name} went out of service`));
    }
    return place ?? settle();
  };

  /** Does something where the sum is, and where that fails, on the next backend. */
  const attempt = async <T>(work: (at: Place) => Promise<T>): Promise<T> => {
    for (let failures = 0; ; failures++) {
      const at = await here();
      try {
        return await work(at);
      } catch (error) {
        // Each of them failed, and one that was made again: it is not the backends.
        if (failures === members.count) throw error;
        await leave(at, error);
      }
    }
  };

  /** Reads the sum. A device that gives numbers that are not finite, for no reason in the blocks, has failed. */
  const read = (): Promise<Float32Array> =>
    attempt(async ({ backend, sum }) => {
      const values = await sum.read();
      if (!backend.isVolatile || isSpoilt || values.every(Number.isFinite)) return values;
      isSpoilt = !kept.every(isFiniteBlock) || !(await isFiniteOnPlain());
      if (isSpoilt) return values;
      throw new InternalError("INTERNAL", `the backend ${backend.name} gave numbers that are not finite`);
    });

  /** Reads a volatile sum back, so that the blocks in it need not be kept any longer. */
  const save = async (): Promise<void> => {
    saved = (await read()).slice();
    kept = [];
  };

  /** Whether the sum is finite by the plain backend's account. */
  const isFiniteOnPlain = (): Promise<boolean> =>
    product.borrow(plain, async (borrowed) => {
      const sum = borrowed.open(x);
      if (saved !== undefined) await sum.restore(saved);
      for (const block of kept) await sum.add(block);
      return sum.isFinite();
    });

  return {
    rows,
    columns,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const at = await attempt(async (now) => {
        await now.sum.add(block);
        return now;
      });
      uses = withRows(uses, at, block.rowCount);
      if (!at.backend.isVolatile) return;
      kept.push({ ...block, bytes: block.bytes.slice() });
      if (kept.reduce((sum, { bytes }) => sum + bytes.byteLength, 0) >= keptBlockBytes) await save();
    },
    get finiteAtRead() {
      return place?.sum.finiteAtRead ?? false;
    },
    isFinite: async () => {
      if (place?.backend.isVolatile === true) return (await read()).every(Number.isFinite);
      return attempt(({ sum }) => sum.isFinite());
    },
    read,
    restore: async (values) => {
      saved = values.slice();
      kept = [];
      isSpoilt = false;
      await attempt(({ sum }) => sum.restore(values));
    },
    uses: () => uses,
    dispose: async () => {
      // A backend that failed may not be able to.
      await place?.sum.dispose().catch(() => {});
      place = undefined;
      kept = [];
    },
  };
}

/** Judges other backends; it has nothing that can be lost. */
const plain = createPlainBackend();

function rowsOf(blocks: readonly RowBlock[]): number {
  return blocks.reduce((sum, { rowCount }) => sum + rowCount, 0);
}

/** The uses with rows added to, or taken from, the last entry, which is that of this backend. */
function withRows(uses: readonly BackendUse[], { backend }: Selected, rows: number): BackendUse[] {
  const { name, device } = backend;
  const last = uses.at(-1);
  const isSame = last !== undefined && last.name === name && last.device === device;
  const before = isSame ? uses.slice(0, -1) : [...uses];
  const total = rows + (isSame ? last.rows : 0);
  return total > 0 ? [...before, { name, device, rows: total }] : before;
}

/** Whether all numbers of a block are finite. */
function isFiniteBlock({ bytes, dtype, rowCount, columnCount }: RowBlock): boolean {
  const values = new Float32Array(rowCount * columnCount);
  widen(bytes, dtype, values);
  return values.every(Number.isFinite);
}
