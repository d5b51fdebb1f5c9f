import test from "ava";
import { createGpuBackend } from "../../src/compute/backends/gpu.js";
import type { GpuApi } from "../../src/compute/gpu/gpu-messages.js";
import { testComputeBackend } from "./compute-backend.js";

/**
 * Registers the backend contract for the `gpu` backend on one API, and what else a GPU is held to; one skipped test
 * with the reason where there is none.
 */
export async function testGpuBackend(api: GpuApi): Promise<void> {
  const create = () => createGpuBackend([api]);
  let device: string;
  try {
    const backend = await create();
    device = backend.device;
    await backend.dispose();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    test.skip(`gpu on ${api} passes the contract of backends (${reason})`, () => undefined);
    return;
  }
  test(`gpu on ${api} runs on ${device}`, (t) => {
    t.not(device, "");
  });
  // The bound of GPU backends: float32 sums in whatever order and with whatever contraction the driver chooses.
  testComputeBackend({ name: "gpu", create, tolerance: 1e-4 });
}
