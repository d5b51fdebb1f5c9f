import type { ComputeBackend } from "../compute-backend.js";
import { messageOf, notAvailable } from "../gpu/gpu-js.js";
import type { GpuApi } from "../gpu/gpu-messages.js";
import { createGpuProcess } from "../gpu/gpu-process.js";

/** In the order in which they are tried. */
const allApis: readonly GpuApi[] = ["webgpu", "opengl"];

/**
 * The gpu.js backend: WebGPU, else OpenGL, in a process of its own. L, R and the sums stay on the device; a sum is read
 * back only when it is asked for.
 *
 * @param apis those that may be used, in this order; WebGPU, then OpenGL, if not given.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if none of them runs here; the message says of each what is missing.
 */
export async function createGpuBackend(apis: readonly GpuApi[] = allApis): Promise<ComputeBackend> {
  const reasons: string[] = [];
  for (const api of apis) {
    try {
      return await createGpuProcess(api);
    } catch (error) {
      reasons.push(messageOf(error).replace(/^not available: /, ""));
    }
  }
  throw notAvailable(reasons.join("; "));
}
