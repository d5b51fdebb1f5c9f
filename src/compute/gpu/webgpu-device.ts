import type { Matrix } from "../compute-backend.js";
import { type BlockStep, type DeviceMatrix, type GpuDevice, pad, toFours, unpad } from "./gpu-device.js";
import {
  assertGpuJs,
  assertRunsOn,
  type DeviceResult,
  type GpuInstance,
  type GpuJs,
  type Kernel,
  type KernelInternals,
  type KernelSettings,
  loadGpuJs,
  maxLoopSteps,
  messageOf,
  notAvailable,
} from "./gpu-js.js";
import { openGpuSource, type WebGpuBuffer, type WebGpuDevice, withNavigatorGpu } from "./webgpu-binding.js";
import { accumulate, multiply, place } from "./webgpu-kernels.js";

/** GPUBufferUsage STORAGE | COPY_SRC | COPY_DST, as the specification numbers them. */
const bufferUsage = 0x80 | 0x04 | 0x08;

/** Blocks that may be copied but not multiplied: one is computed while the next is uploaded. */
const maxBlocksInFlight = 2;

/** A matrix in a buffer that is ours, or in one that gpu.js counts references to. */
interface BufferMatrix extends DeviceMatrix {
  readonly buffer: WebGpuBuffer;
}

/** gpu.js's handle of a buffer, whose numbers it calls components of a result. */
interface BufferResult extends DeviceResult {
  readonly buffer: WebGpuBuffer;
  readonly context: unknown;
}

/** A kernel in WebGPU mode, with the buffer that it wrote last and the way to read any. */
interface WebGpuKernel extends Kernel<Promise<BufferResult>> {
  readonly kernel: KernelInternals & {
    readonly outputBuffer: WebGpuBuffer;
    readBufferResult(handle: unknown): Promise<Float32Array>;
  };
}

/** The device, its kernels and what is under way. */
interface DeviceState {
  readonly gpu: GpuInstance;
  readonly device: WebGpuDevice;
  readonly context: unknown;
  readonly description: string;
  readonly multiply: WebGpuKernel;
  readonly accumulate: WebGpuKernel;
  readonly place: WebGpuKernel;
  /** Why it can be used no more. */
  failure: string | undefined;
  /** The last call's end: kernels keep their output's size between calls, so calls may not overlap. */
  queue: Promise<unknown>;
  /** Buffer that blocks are uploaded into. Work is done in order, so that all sums can share it. */
  block: WebGpuBuffer | undefined;
  readonly inFlight: Promise<unknown>[];
}

/**
 * A device behind WebGPU: gpu.js in WebGPU mode, on Dawn. One per process: gpu.js holds its device in a variable of
 * its module, and forgets it some time after it was destroyed.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if there is none, or gpu.js does not run on it.
 */
export async function createWebGpuDevice(): Promise<GpuDevice<BufferMatrix>> {
  assertGpuJs();
  const source = await openGpuSource();
  const gpuJs = await loadGpuJs();
  return withNavigatorGpu(source.gpu, async () => {
    const gpu = createInstance(gpuJs);
    const create = (kernel: (...args: never[]) => unknown, buffers: number, integers: number, immutable: boolean) =>
      gpu.createKernel<WebGpuKernel>(kernel, settings(buffers, integers, immutable));
    const kernels = {
      multiply: create(multiply, 2, 2, false),
      accumulate: create(accumulate, 3, 5, true),
      place: create(place, 2, 3, true),
    };
    const probe = await probeKernels(gpuJs, gpu, kernels).catch((cause: unknown) => {
      throw notAvailable(`gpu.js does not run on ${source.description}: ${messageOf(cause)}`, cause);
    });
    const device = source.device();
    if (device === undefined) throw notAvailable("gpu.js asked for no WebGPU device");
    const state: DeviceState = {
      ...{ gpu, device, context: probe, description: source.description, ...kernels },
      ...{ failure: undefined, queue: Promise.resolve(), block: undefined, inFlight: [] },
    };
    void device.lost.then(({ message, reason }) => {
      state.failure ??= `the GPU was lost: ${message || reason}`;
    });
    return createDevice(state);
  });
}

function createInstance({ GPU }: GpuJs): GpuInstance {
  try {
    return new GPU({ mode: "webgpu" });
  } catch (cause) {
    throw notAvailable(`gpu.js refuses WebGPU: ${messageOf(cause)}`, cause);
  }
}

function settings(buffers: number, integers: number, immutable: boolean): KernelSettings {
  return {
    output: [1, 1],
    argumentTypes: [
      ...Array.from({ length: buffers }, () => "WebGPUBuffer"),
      ...Array.from({ length: integers }, () => "Integer"),
    ],
    returnType: "Array(4)",
    precision: "single",
    pipeline: true,
    immutable,
    dynamicOutput: true,
    dynamicArguments: true,
    loopMaxIterations: maxLoopSteps,
  };
}

/** Compiles the kernels by running each on one number, and gives the context that gpu.js binds buffers by. */
async function probeKernels(
  { input }: GpuJs,
  gpu: GpuInstance,
  kernels: Pick<DeviceState, "multiply" | "accumulate" | "place">,
): Promise<unknown> {
  const copy = gpu.createKernel<WebGpuKernel>(
    function (this: { readonly thread: { readonly x: number } }, x: number[]) {
      return x[this.thread.x] as number;
    },
    { ...settings(0, 0, false), output: [4], argumentTypes: ["Input"], returnType: "Float" },
  );
  const result = await copy(input(new Float32Array([2, 0, 0, 0]), [4]));
  const { multiply, accumulate, place } = kernels;
  // The kernels take each other's results as plain numbers, so the handles are written anew.
  const x = toHandle(result.context, result.buffer);
  const t = await multiply(x, x, 1, 4);
  const product = toHandle(result.context, t.buffer);
  const z = await accumulate(x, x, product, 0, 1, 1, 4, 4);
  const placed = await place(toHandle(result.context, z.buffer), product, 0, 1, 4);
  const [found] = await place.kernel.readBufferResult(toHandle(result.context, placed.buffer));
  for (const kernel of [copy, multiply, accumulate, place]) assertRunsOn(kernel, "webgpu");
  // 2 + 2·(2·2) + 2·2
  if (found !== 14) throw notAvailable(`a product that is 14 came out as ${found}`);
  for (const one of [result, t, z, placed]) one.delete();
  return result.context;
}

/** What gpu.js takes for a result that stayed in a buffer: here, any buffer, as a row of numbers. */
function toHandle(context: unknown, buffer: WebGpuBuffer, count = buffer.size / 4): unknown {
  return { type: "WebGPUBuffer", context, buffer, output: [count], componentCount: 1 };
}

async function close(state: DeviceState): Promise<void> {
  await state.queue;
  await Promise.allSettled(state.inFlight);
  state.failure = "the backend was disposed";
  state.block?.destroy();
  await state.gpu.destroy();
  state.device.destroy();
}

function createDevice(state: DeviceState): GpuDevice<BufferMatrix> {
  const { device } = state;
  return {
    description: state.description,
    maxNumbers: Math.floor(Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize) / 4),
    maxRows: Number.POSITIVE_INFINITY,
    uploadSide: (matrix) => inTurn(state, () => upload(state, matrix, matrix.values)),
    uploadSum: (matrix) => inTurn(state, () => upload(state, matrix, pad(matrix))),
    add: (step) => inTurn(state, () => add(state, step)),
    read: (sum) =>
      inTurn(state, async () => {
        const values = await readBuffer(state, sum);
        assertUsable(state);
        return unpad(values, sum.rows, sum.columns);
      }),
    dispose: () => close(state),
  };
}

/** Runs a call after those before it. */
function inTurn<T>(state: DeviceState, run: () => Promise<T>): Promise<T> {
  const result = state.queue.then(() => {
    assertUsable(state);
    return run();
  });
  state.queue = result.catch(() => undefined);
  return result;
}

function assertUsable({ failure }: DeviceState): void {
  if (failure !== undefined) throw notAvailable(failure);
}

async function upload(state: DeviceState, { rows, columns }: Matrix, values: Float32Array): Promise<BufferMatrix> {
  // A kernel reads its numbers in fours.
  const size = Math.max(16, values.byteLength);
  const buffer = await checked(state, () => state.device.createBuffer({ size, usage: bufferUsage }));
  state.device.queue.writeBuffer(buffer, 0, values);
  return { rows, columns, bytes: size, buffer, free: () => buffer.destroy() };
}

/** Runs device calls and waits until the device has said whether it took them. */
async function checked<T>(state: DeviceState, run: () => T): Promise<T> {
  const { result, verdict } = scoped(state, run);
  await verdict;
  assertUsable(state);
  return result;
}

/** Runs device calls; the verdict settles when the device has said whether it took them, and never rejects. */
function scoped<T>(state: DeviceState, run: () => T): { readonly result: T; readonly verdict: Promise<void> } {
  const { device } = state;
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  try {
    const result = run();
    return { result, verdict: pop() };
  } catch (error) {
    void pop();
    throw error;
  }

  async function pop(): Promise<void> {
    const scopes = [device.popErrorScope(), device.popErrorScope()];
    for (const scope of await Promise.allSettled(scopes)) {
      if (scope.status === "rejected") state.failure ??= `the GPU was lost: ${messageOf(scope.reason)}`;
      else if (scope.value !== null) state.failure ??= `the GPU refused its work: ${messageOf(scope.value)}`;
    }
  }
}

async function add(state: DeviceState, step: BlockStep<BufferMatrix>): Promise<BufferMatrix> {
  const { sum, values } = step;
  while (state.inFlight.length >= maxBlocksInFlight) await state.inFlight.shift();
  assertUsable(state);
  if (state.block === undefined || state.block.size < values.byteLength) {
    state.block?.destroy();
    state.block = undefined;
    const size = Math.max(16, values.byteLength);
    state.block = await checked(state, () => state.device.createBuffer({ size, usage: bufferUsage }));
  }
  const { block } = state;
  const { result, verdict } = scoped(state, () => {
    state.device.queue.writeBuffer(block, 0, values);
    return submit(state, step, block);
  });
  const next = await result;
  state.inFlight.push(Promise.allSettled([verdict, state.device.queue.onSubmittedWorkDone()]));
  const { rows, columns } = sum;
  sum.free();
  return { rows, columns, bytes: next.buffer.size, buffer: next.buffer, free: () => next.delete() };
}

/** Submits the kernels of a block, before it returns, and gives the handle of the new sum. */
function submit(state: DeviceState, step: BlockStep<BufferMatrix>, block: WebGpuBuffer): Promise<BufferResult> {
  const { sum, left, right, rowBegin, rowCount, columnCount } = step;
  const { context } = state;
  const fours = toFours(sum.columns);
  const width = 4 * fours;
  const x = toHandle(context, block);
  let terms = x;
  let stride = columnCount;
  if (right !== undefined) {
    state.multiply.setOutput([fours, rowCount]);
    // A kernel that is built has submitted when it returns; its promise is for those who read at once.
    void state
      .multiply(x, toHandle(context, right.buffer), columnCount, right.columns)
      .then((result) => result.delete());
    terms = toHandle(context, state.multiply.kernel.outputBuffer);
    stride = width;
  }
  const z = toHandle(context, sum.buffer);
  if (left === undefined) {
    state.place.setOutput([fours, sum.rows]);
    return state.place(z, terms, rowBegin, rowCount, width);
  }
  state.accumulate.setOutput([fours, sum.rows]);
  return state.accumulate(
    ...[z, toHandle(context, left.buffer), terms],
    ...[rowBegin, rowCount, left.columns, stride, width],
  );
}

async function readBuffer(state: DeviceState, { rows, columns, buffer }: BufferMatrix): Promise<Float32Array> {
  try {
    return await state.place.kernel.readBufferResult(toHandle(state.context, buffer, rows * 4 * toFours(columns)));
  } catch (cause) {
    state.failure ??= `the GPU was lost: ${messageOf(cause)}`;
    throw notAvailable(state.failure, cause);
  }
}
