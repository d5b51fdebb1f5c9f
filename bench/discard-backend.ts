import type { ComputeBackend, Product, ProductSides, RunningSum } from "../src/compute/compute-backend.js";
import { toSumShape } from "../src/compute/product-shape.js";

/**
 * A compute module whose backend computes nothing: sums stay zero. What a server costs with it is all but the
 * projection.
 */
export async function createBackend(): Promise<ComputeBackend> {
  return {
    name: "discard",
    device: "nothing",
    isVolatile: false,
    load: async (sides) => createProduct(sides),
    dispose: async () => undefined,
  };
}

function createProduct(sides: ProductSides): Product {
  return {
    residentBytes: 0,
    open: (shape) => createSum(toSumShape(sides, shape)),
    dispose: async () => undefined,
  };
}

function createSum({ rows, columns }: { rows: number; columns: number }): RunningSum {
  return {
    rows,
    columns,
    add: async () => undefined,
    isFinite: async () => true,
    read: async () => new Float32Array(rows * columns),
    restore: async () => undefined,
    uses: () => [],
    dispose: async () => undefined,
  };
}
