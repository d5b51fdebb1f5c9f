import { isSoftwareRenderer } from "./gpu-device.js";
import { messageOf, notAvailable } from "./gpu-js.js";

// The part of WebGPU that is used here. Its declarations in @webgpu/types are global and would hold for all sources.

/** A GPUBuffer. */
export interface WebGpuBuffer {
  readonly size: number;
  destroy(): void;
}

/** A GPUDevice. */
export interface WebGpuDevice {
  readonly limits: { readonly maxStorageBufferBindingSize: number; readonly maxBufferSize: number };
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  readonly queue: {
    writeBuffer(buffer: WebGpuBuffer, offset: number, data: Float32Array): void;
    onSubmittedWorkDone(): Promise<unknown>;
  };
  createBuffer(description: { readonly size: number; readonly usage: number }): WebGpuBuffer;
  pushErrorScope(filter: "validation" | "out-of-memory"): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
  destroy(): void;
}

interface WebGpuAdapter {
  readonly info: { readonly vendor: string; readonly device: string; readonly description: string };
  readonly limits: WebGpuDevice["limits"];
  requestDevice(description: unknown): Promise<WebGpuDevice>;
}

interface WebGpu {
  requestAdapter(options?: unknown): Promise<WebGpuAdapter | null>;
}

/** The package `webgpu`: Dawn with a binding for Node. */
interface Binding {
  create(options: readonly string[]): WebGpu;
}

/** What gpu.js is given as `navigator.gpu`, and what it obtained from there. */
export interface GpuSource {
  readonly gpu: unknown;
  /** The device that was handed out last. */
  device(): WebGpuDevice | undefined;
  /** Name of the adapter that was found. */
  readonly description: string;
}

const packageName = "webgpu";

/**
 * Dawn's objects that a device needs but does not hold: once the garbage collector takes its instance, calls on the
 * device crash the process or never settle.
 */
const kept: unknown[] = [];

/** Length at which a message of the dynamic loader, which quotes paths and versions, is cut. */
const maxReasonLength = 200;

/**
 * Loads Dawn and looks for an adapter: the fastest, which may be a software rasteriser if there is no other.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the package is missing, its binary does not fit this system, or
 * there is no adapter.
 */
export async function openGpuSource(): Promise<GpuSource> {
  const { create } = await loadBinding();
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) {
    throw notAvailable(
      "WebGPU finds no adapter; it needs a GPU with its Vulkan driver, on Debian and Ubuntu `apt-get install libvulkan1` and the maker's driver",
    );
  }
  kept.push(gpu, adapter);
  let handedOut: WebGpuDevice | undefined;
  const requestDevice = async (description: unknown): Promise<WebGpuDevice> => {
    handedOut = await adapter.requestDevice(description);
    // gpu.js assigns a handler that prints. Errors are caught in error scopes; and older bindings refuse the assignment
    // unless the object has a property of its own.
    Object.defineProperty(handedOut, "onuncapturederror", { value: null, writable: true });
    return handedOut;
  };
  const { description, device, vendor } = adapter.info;
  const name = description || device || vendor || "unnamed adapter";
  return {
    gpu: { requestAdapter: async () => ({ limits: adapter.limits, requestDevice }) },
    device: () => handedOut,
    description: `WebGPU, ${isSoftwareRenderer(name) ? "software renderer " : ""}${name}`,
  };
}

async function loadBinding(): Promise<Binding> {
  try {
    const module: Binding = await import(packageName);
    return module;
  } catch (cause) {
    const message = messageOf(cause);
    const reason = /GLIBC(XX)?_/.test(message)
      ? `the package webgpu needs a newer system: ${message.slice(0, maxReasonLength)}`
      : `the package webgpu cannot be loaded: npm install webgpu (${message.slice(0, maxReasonLength)})`;
    throw notAvailable(reason, cause);
  }
}

/** Runs a function while `navigator.gpu` is ours: gpu.js looks for it there, and only while it acquires its device. */
export async function withNavigatorGpu<T>(gpu: unknown, run: () => Promise<T>): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true, writable: true });
  try {
    return await run();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
    else Object.defineProperty(globalThis, "navigator", before);
  }
}
