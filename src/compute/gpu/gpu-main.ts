import { toPlainError } from "../../errors/plain-error.js";
import { InternalError } from "../../errors/probestream-error.js";
import type { ComputeBackend, Product, RunningSum } from "../compute-backend.js";
import { createDeviceBackend } from "./device-backend.js";
import type { GpuApi, GpuCall, GpuReply, GpuRequest } from "./gpu-messages.js";
import { createOpenGlDevice } from "./opengl-device.js";
import { createWebGpuDevice } from "./webgpu-device.js";

// The program of the process that `gpu-process.ts` starts. It ends with the channel to its parent.

const openers = {
  webgpu: async () => createDeviceBackend(await createWebGpuDevice()),
  opengl: async () => createDeviceBackend(await createOpenGlDevice()),
} as const satisfies Record<GpuApi, () => Promise<ComputeBackend>>;

const products = new Map<number, Product>();
const sums = new Map<number, RunningSum>();

const reply = (message: GpuReply): void => {
  if (process.connected) process.send?.(message);
};

// SIGKILL, because Dawn and drivers have been seen to abort or hang in their own clean-up.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
try {
  const backend = await openers[process.argv[2] === "opengl" ? "opengl" : "webgpu"]();
  let queue: Promise<void> = Promise.resolve();
  process.on("message", (request: GpuRequest) => {
    queue = queue.then(() => handle(backend, request));
  });
  reply({ type: "ready", device: backend.device });
} catch (error) {
  reply({ type: "not-ready", error: toPlainError(error) });
}

async function handle(backend: ComputeBackend, { id, call }: GpuRequest): Promise<void> {
  try {
    reply({ type: "done", id, value: await run(backend, call) });
  } catch (error) {
    reply({ type: "failed", id, error: toPlainError(error) });
  }
}

async function run(backend: ComputeBackend, call: GpuCall): Promise<number | Float32Array | undefined> {
  switch (call.op) {
    case "load": {
      const product = await backend.load(call.sides);
      products.set(call.product, product);
      return product.residentBytes;
    }
    case "unload":
      await products.get(call.product)?.dispose();
      products.delete(call.product);
      return undefined;
    case "open":
      sums.set(call.sum, numbered(products, call.product).open(call.shape));
      return undefined;
    case "add":
      await numbered(sums, call.sum).add(call.block);
      return undefined;
    case "read":
      return numbered(sums, call.sum).read();
    case "restore":
      await numbered(sums, call.sum).restore(call.values);
      return undefined;
    case "close":
      await sums.get(call.sum)?.dispose();
      sums.delete(call.sum);
      return undefined;
    case "end":
      await backend.dispose();
      return undefined;
  }
}

function numbered<T>(map: ReadonlyMap<number, T>, number: number): T {
  const one = map.get(number);
  if (one === undefined) throw new InternalError("INTERNAL", `the GPU process has no number ${number}`);
  return one;
}
