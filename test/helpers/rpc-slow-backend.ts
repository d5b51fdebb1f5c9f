import { setTimeout as sleep } from "node:timers/promises";
import type { ComputeBackend, ProductSides, RunningSum } from "../../src/compute/compute-backend.js";
import { toSumShape } from "../../src/compute/product-shape.js";

/** Time per block of about 1 MiB: some 100 MB/s. */
const blockMs = 10;

/** A compute module that computes nothing, slowly: what comes faster has to wait. */
export async function createBackend(): Promise<ComputeBackend> {
  return {
    name: "slow",
    device: "nothing",
    isVolatile: false,
    load: async (sides: ProductSides) => ({
      residentBytes: 0,
      open: (shape) => createSum(toSumShape(sides, shape)),
      dispose: async () => {},
    }),
    dispose: async () => {},
  };
}

function createSum({ rows, columns }: { rows: number; columns: number }): RunningSum {
  return {
    rows,
    columns,
    add: async () => {
      await sleep(blockMs);
    },
    isFinite: async () => true,
    read: async () => new Float32Array(rows * columns),
    restore: async () => {},
    uses: () => [],
    dispose: async () => {},
  };
}
