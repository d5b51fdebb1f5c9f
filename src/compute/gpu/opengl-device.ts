import { createRequire } from "node:module";
import type { Matrix } from "../compute-backend.js";
import { type BlockStep, type DeviceMatrix, type GpuDevice, isSoftwareRenderer, toFours } from "./gpu-device.js";
import {
  assertGpuJs,
  assertRunsOn,
  type DeviceResult,
  type GpuInstance,
  type GpuJs,
  type Kernel,
  type KernelSettings,
  loadGpuJs,
  maxLoopSteps,
  messageOf,
  notAvailable,
} from "./gpu-js.js";
import { accumulate, copy, multiply, pack, place } from "./opengl-kernels.js";

/** Numbers in a texture: gpu.js divides indices as floats where the driver's division is not exact, and floats count to here. */
const maxNumbers = 2 ** 24;

/** OpenGL's MAX_TEXTURE_SIZE. */
const maxTextureSize = 0x0d33;

/** OpenGL's RENDERER. */
const rendererName = 0x1f01;

/** A matrix in a texture. */
interface TextureMatrix extends DeviceMatrix {
  readonly texture: DeviceResult;
}

type TextureKernel = Kernel<DeviceResult>;

/** A WebGL context of the package gl. */
interface GlContext {
  finish(): void;
  getParameter(name: number): number;
  getError(): number;
}

const packed = "ArrayTexture(4)";
const plain = "MemoryOptimizedNumberTexture";

/**
 * A device behind OpenGL: gpu.js on the package gl (ANGLE without a window; on Linux it needs an X display). Calls
 * block, and one process can load it in one thread only.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if there is none, or gpu.js does not run on it.
 */
export async function createOpenGlDevice(): Promise<GpuDevice<TextureMatrix>> {
  assertGpuJs();
  const renderer = findRenderer();
  const gpuJs = await loadGpuJs();
  const gpu = createInstance(gpuJs);
  const kernels = {
    pack: gpu.createKernel<TextureKernel>(pack, settings(["Input"])),
    copy: gpu.createKernel<TextureKernel>(copy, { ...settings(["Input"], "Float"), optimizeFloatMemory: true }),
    multiply: gpu.createKernel<TextureKernel>(multiply, settings(["Input", packed, "Integer"])),
    accumulate: gpu.createKernel<TextureKernel>(accumulate, settings([packed, plain, packed, "Integer", "Integer"])),
    place: gpu.createKernel<TextureKernel>(place, settings([packed, packed, "Integer", "Integer"])),
  };
  const description = `OpenGL, ${isSoftwareRenderer(renderer) ? "software renderer " : ""}${renderer}`;
  const device = createDevice(gpuJs, gpu, kernels, description);
  try {
    await probe(device);
    for (const kernel of Object.values(kernels)) assertRunsOn(kernel, "gpu");
    return device;
  } catch (cause) {
    await device.dispose();
    throw notAvailable(`gpu.js does not run on ${description}: ${messageOf(cause)}`, cause);
  }
}

/** Opens a context, throws if there is none, and gives the name of what draws. */
function findRenderer(): string {
  const require = createRequire(import.meta.resolve("gpu.js"));
  try {
    const createContext: (width: number, height: number) => GlContext | null = require("gl");
    const native: {
      readonly gl: { getParameter(this: GlContext, name: number): unknown };
    } = require("gl/src/javascript/native-gl.js");
    const context = createContext(1, 1);
    if (context === null) throw new Error("it opens no context; on Linux it needs an X display, try xvfb-run");
    // The context itself hides the name.
    return String(native.gl.getParameter.call(context, rendererName));
  } catch (cause) {
    throw notAvailable(
      `OpenGL needs the package gl, compiled for this system (npm install gl, with its install script): ${messageOf(cause)}`,
      cause,
    );
  }
}

function createInstance({ GPU }: GpuJs): GpuInstance {
  try {
    return new GPU({ mode: "headlessgl" });
  } catch (cause) {
    throw notAvailable(`gpu.js refuses OpenGL: ${messageOf(cause)}`, cause);
  }
}

function settings(argumentTypes: readonly string[], returnType = "Array(4)"): KernelSettings {
  return {
    output: [1, 1],
    argumentTypes,
    returnType,
    precision: "single",
    pipeline: true,
    immutable: true,
    dynamicOutput: true,
    dynamicArguments: true,
    loopMaxIterations: maxLoopSteps,
  };
}

/** Runs each kernel once, which compiles it. */
async function probe(device: GpuDevice<TextureMatrix>): Promise<void> {
  const two = { rows: 1, columns: 1, values: new Float32Array([2]) };
  const [l, r] = [await device.uploadSide(two, "left"), await device.uploadSide(two, "right")];
  for (const [left, right, expected] of [
    [l, r, 10],
    [l, undefined, 6],
    [undefined, r, 6],
  ] as const) {
    const sum = await device.uploadSum(two);
    const step = { left, right, values: two.values, rowBegin: 0, rowCount: 1, columnCount: 1 };
    const after = await device.add({ sum, ...step });
    const [found] = await device.read(after);
    if (found !== expected) throw new Error(`a sum that is ${expected} came out as ${found}`);
    after.free();
  }
  l.free();
  r.free();
}

function createDevice(
  { input }: GpuJs,
  gpu: GpuInstance,
  kernels: Readonly<Record<"pack" | "copy" | "multiply" | "accumulate" | "place", TextureKernel>>,
  description: string,
): GpuDevice<TextureMatrix> {
  /** Runs a kernel for a result of rows × columns texels. */
  const run = (kernel: TextureKernel, rows: number, columns: number, ...args: readonly unknown[]): DeviceResult => {
    kernel.setOutput([columns, rows]);
    return kernel(...args);
  };
  const toInput = ({ rows, columns, values }: Matrix): unknown => input(values, [columns, rows]);
  const toMatrix = (rows: number, columns: number, texture: DeviceResult): TextureMatrix => {
    let freed = false;
    const free = (): void => {
      if (!freed) texture.delete();
      freed = true;
    };
    return { rows, columns, bytes: rows * 16 * toFours(columns), texture, free };
  };
  const toPacked = (matrix: Matrix): DeviceResult =>
    run(kernels.pack, matrix.rows, toFours(matrix.columns), toInput(matrix));
  const context = (): GlContext => kernels.pack.kernel.context as GlContext;
  return {
    description,
    maxNumbers,
    maxRows: context().getParameter(maxTextureSize),
    uploadSide: async (matrix, side) => {
      const { rows, columns } = matrix;
      const texture = side === "left" ? run(kernels.copy, rows, columns, toInput(matrix)) : toPacked(matrix);
      return toMatrix(rows, columns, texture);
    },
    uploadSum: async (matrix) => toMatrix(matrix.rows, matrix.columns, toPacked(matrix)),
    add: async ({ sum, left, right, values, rowBegin, rowCount, columnCount }: BlockStep<TextureMatrix>) => {
      // The block before this one: no more than one is unfinished.
      context().finish();
      const x = { rows: rowCount, columns: columnCount, values };
      const fours = toFours(sum.columns);
      const terms =
        right === undefined
          ? toPacked(x)
          : run(kernels.multiply, rowCount, fours, toInput(x), right.texture, columnCount);
      const next =
        left === undefined
          ? run(kernels.place, sum.rows, fours, sum.texture, terms, rowBegin, rowCount)
          : run(kernels.accumulate, sum.rows, fours, sum.texture, left.texture, terms, rowBegin, rowCount);
      terms.delete();
      sum.free();
      const error = context().getError();
      if (error !== 0) throw notAvailable(`OpenGL reports error 0x${error.toString(16)}`);
      return toMatrix(sum.rows, sum.columns, next);
    },
    read: async ({ rows, columns, texture }) => flatten(texture.toArray(), rows, columns),
    dispose: () => gpu.destroy(),
  };
}

/** A packed matrix as gpu.js gives it, rows of columns of four, without its padding. */
function flatten(texels: unknown, rows: number, columns: number): Float32Array {
  const values = new Float32Array(rows * columns);
  for (const [y, row] of (texels as readonly (readonly Float32Array[])[]).entries()) {
    for (const [x, four] of row.entries()) {
      values.set(four.subarray(0, Math.min(4, columns - 4 * x)), y * columns + 4 * x);
    }
  }
  return values;
}
