import { InternalError, UnavailableError } from "../../../errors/probestream-error.js";
import { pageBytes, type WasmMemory } from "./web-assembly.js";

/** Regions begin on lines of the processor's cache. */
const alignment = 64;

/** Shares out one WebAssembly memory. Addresses are byte offsets, multiples of 64, never 0. */
export interface Regions {
  /**
   * Takes a region, whose bytes may hold anything. The memory grows where no gap is wide enough.
   *
   * @throws UnavailableError `BACKEND_UNAVAILABLE` if it cannot: 4 GiB is the most.
   */
  allocate(byteCount: number): number;
  /** Gives a region back, for the next that fits. */
  free(address: number): void;
}

/** A stretch of memory that nobody has. */
interface Gap {
  readonly begin: number;
  end: number;
}

/**
 * First fit over a list of gaps. There are few regions (two per product, one per sum), and they come and go in the same
 * sizes, so that gaps are filled again.
 */
export function createRegions(memory: WasmMemory): Regions {
  const gaps: Gap[] = [];
  const lengths = new Map<number, number>();

  function addGap(begin: number, end: number): void {
    const found = gaps.findIndex((gap) => gap.begin > begin);
    const index = found < 0 ? gaps.length : found;
    gaps.splice(index, 0, { begin, end });
    joinNext(index);
    joinNext(index - 1);
  }

  /** Makes one gap of two that touch. */
  function joinNext(index: number): void {
    const gap = gaps[index];
    const next = gaps[index + 1];
    if (gap === undefined || next === undefined || gap.end !== next.begin) return;
    gap.end = next.end;
    gaps.splice(index + 1, 1);
  }

  function grow(length: number): void {
    const end = memory.buffer.byteLength;
    const last = gaps.at(-1);
    const missing = length - (last?.end === end ? end - last.begin : 0);
    const pages = Math.ceil(missing / pageBytes);
    try {
      memory.grow(pages);
    } catch (cause) {
      throw new UnavailableError(
        "BACKEND_UNAVAILABLE",
        `the wasm backend cannot take ${missing} bytes beside the ${end} it has; WebAssembly memory ends at 4 GiB: load fewer experts, or choose another --backend`,
        { backend: "wasm", missing, bytes: end },
        { cause },
      );
    }
    addGap(end, end + pages * pageBytes);
  }

  function take(length: number): number | undefined {
    const index = gaps.findIndex((gap) => gap.end - gap.begin >= length);
    const gap = gaps[index];
    if (gap === undefined) return undefined;
    const { begin, end } = gap;
    if (end - begin === length) gaps.splice(index, 1);
    else gaps[index] = { begin: begin + length, end };
    lengths.set(begin, length);
    return begin;
  }

  // Address 0 stands for "none".
  if (memory.buffer.byteLength > 0) addGap(alignment, memory.buffer.byteLength);
  return {
    allocate: (byteCount) => {
      const length = Math.max(1, Math.ceil(byteCount / alignment)) * alignment;
      const address = take(length);
      if (address !== undefined) return address;
      grow(length);
      return take(length) as number;
    },
    free: (address) => {
      const length = lengths.get(address);
      if (length === undefined) throw new InternalError("INTERNAL", `no region begins at ${address}`);
      lengths.delete(address);
      addGap(address, address + length);
    },
  };
}
