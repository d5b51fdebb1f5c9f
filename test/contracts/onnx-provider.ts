import test from "ava";
import { createOnnxBackend, type OnnxProvider } from "../../src/compute/backends/onnx.js";
import { testComputeBackend } from "./compute-backend.js";

/** Registers the backend contract for onnxruntime on a GPU's provider; one skipped test with the reason where there is none. */
export async function testOnnxProvider(provider: Exclude<OnnxProvider, "cpu">): Promise<void> {
  const create = () => createOnnxBackend(provider);
  try {
    await (await create()).dispose();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    test.skip(`onnx on ${provider} passes the contract of backends (${reason})`, () => undefined);
    return;
  }
  // The bound of GPU backends.
  testComputeBackend({ name: `onnx-${provider}`, create, tolerance: 1e-4 });
}
