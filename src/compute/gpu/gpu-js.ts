import { UnavailableError } from "../../errors/probestream-error.js";

/** What a kernel sees as `this`. */
export interface KernelThread {
  readonly thread: { readonly x: number; readonly y: number };
}

/** A result that stayed on the device. */
export interface DeviceResult {
  toArray(): unknown;
  delete(): void;
}

/** Settings of a kernel; those that are used here. */
export interface KernelSettings {
  readonly output: readonly number[];
  readonly argumentTypes: readonly string[];
  readonly returnType: string;
  readonly precision: "single";
  readonly pipeline: boolean;
  readonly immutable: boolean;
  readonly dynamicOutput: boolean;
  readonly dynamicArguments: boolean;
  readonly optimizeFloatMemory?: boolean;
  readonly loopMaxIterations?: number;
}

/** A compiled kernel: a function of its arguments. In WebGPU mode it gives promises. */
export interface Kernel<Result> {
  (...args: readonly unknown[]): Result;
  setOutput(output: readonly number[]): unknown;
  /** What really runs; `replaceKernel` may have put another in its place. */
  readonly kernel: KernelInternals;
}

/** The part of gpu.js's kernel object that says what runs. */
export interface KernelInternals {
  /** Set where gpu.js gave up on the GPU and went on on the CPU. */
  readonly fallbackReason?: string | null;
  readonly constructor: { readonly mode?: string };
  readonly context: unknown;
}

/** An instance of gpu.js's `GPU`. */
export interface GpuInstance {
  createKernel<K extends Kernel<unknown>>(source: (...args: never[]) => unknown, settings: KernelSettings): K;
  destroy(): Promise<void>;
}

/** The module `gpu.js`, typed as far as it is used: its own declarations know neither WebGPU mode nor typed inputs. */
export interface GpuJs {
  readonly GPU: new (settings: { readonly mode: "webgpu" | "headlessgl" }) => GpuInstance;
  input(values: Float32Array, size: readonly number[]): unknown;
}

/** What a dynamic import of a CommonJS module gives. */
interface Imported {
  readonly default: GpuJs;
}

// Not a literal, so that neither the compiler nor a bundler asks for an optional package.
const packageName = "gpu.js";

/**
 * Looks whether gpu.js, an optional package, is installed. To load it takes 0.1 s, of use only where there is a device.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if it is not.
 */
export function assertGpuJs(): void {
  try {
    import.meta.resolve(packageName);
  } catch (cause) {
    throw cannotLoad(cause);
  }
}

/**
 * Loads gpu.js.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if it is not installed, or incomplete.
 */
export async function loadGpuJs(): Promise<GpuJs> {
  try {
    const module: Imported = await import(packageName);
    return module.default;
  } catch (cause) {
    throw cannotLoad(cause);
  }
}

function cannotLoad(cause: unknown): UnavailableError {
  return notAvailable("the package gpu.js cannot be loaded: npm install gpu.js webgpu", cause);
}

/** Guards against gpu.js's quiet fallback. */
export function assertRunsOn(kernel: Kernel<unknown>, mode: string): void {
  const {
    fallbackReason,
    constructor: { mode: found },
  } = kernel.kernel;
  if (found === mode && !fallbackReason) return;
  throw notAvailable(`gpu.js fell back from ${mode} to ${found}: ${fallbackReason ?? "no reason given"}`);
}

/**
 * Turns of a loop that kernels are compiled for: numbers of the longest row. gpu.js leaves every loop after 1,000 turns
 * where nothing else is said, in every mode and without a word.
 */
export const maxLoopSteps = 2 ** 24;

/** The error of a GPU, or of a way to one, that is not there. */
export function notAvailable(reason: string, cause?: unknown): UnavailableError {
  return new UnavailableError(
    "BACKEND_UNAVAILABLE",
    `not available: ${reason}`,
    { backend: "gpu" },
    cause === undefined ? undefined : { cause },
  );
}

/** The message of whatever was thrown, its first line. */
export function messageOf(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  // Loaders of native packages go on with a list of the places where they looked.
  return line.replace(/\.? Tried:$/, "");
}
