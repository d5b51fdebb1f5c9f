import { createGpuBackend } from "../src/compute/backends/gpu.js";
import { isSoftwareRenderer } from "../src/compute/gpu/gpu-device.js";

// Prints the adapter that WebGPU finds and gpu.js runs on. The exit code is 3 for a software renderer, 1 for none.

try {
  const backend = await createGpuBackend(["webgpu"]);
  console.log(backend.device);
  process.exitCode = isSoftwareRenderer(backend.device) ? 3 : 0;
  await backend.dispose();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
