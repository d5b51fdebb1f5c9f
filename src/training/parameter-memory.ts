import { pageBytes, type WasmMemory, wasmEngine } from "../compute/backends/wasm/web-assembly.js";
import { LimitExceededError } from "../errors/probestream-error.js";
import type { AdamRegions } from "./adam.js";
import { countNumbers, type ParameterShapes } from "./train-shape.js";

/** Everything that a step reads and writes of the parameters, in one memory, so that one pass of the kernel moves them. */
export interface ParameterMemory {
  readonly memory: WasmMemory;
  readonly regions: AdamRegions;
  /** A view per parameter, by its name. */
  readonly parameters: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** A view per parameter's gradient, by the parameter's name. */
  readonly gradients: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** Both moments of Adam, each as a whole. */
  readonly moments: readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
}

/** The kernel works on four numbers at a time. */
const lanes = 4;
/** What WebAssembly can address. */
const mostBytes = 4 * 1024 ** 3;

/**
 * Lays parameters, gradients and moments out, all zero.
 *
 * Memory: 16 bytes per parameter.
 *
 * @throws LimitExceededError `LIMIT_EXCEEDED` for more than 268 million parameters.
 */
export function createParameterMemory(shapes: ParameterShapes): ParameterMemory {
  const sizes = [...shapes].map(([name, shape]) => ({ name, size: countNumbers(shape) }));
  const padded = (size: number): number => Math.ceil(size / lanes) * lanes;
  const count = sizes.reduce((sum, { size }) => sum + padded(size), 0);
  const regionBytes = count * 4;
  if (4 * regionBytes > mostBytes - pageBytes) {
    throw new LimitExceededError(
      "LIMIT_EXCEEDED",
      `the expert has ${count} parameters, at most ${mostBytes / 16} can be trained; give fewer probes or a smaller representation`,
      { found: count, limit: mostBytes / 16 },
    );
  }
  const memory = new wasmEngine.Memory({ initial: Math.ceil((4 * regionBytes) / pageBytes) });
  const buffer = memory.buffer as ArrayBuffer;
  const views = (begin: number): Map<string, Float32Array<ArrayBuffer>> => {
    let at = begin;
    return new Map(
      sizes.map(({ name, size }) => {
        const view = new Float32Array(buffer, at, size);
        at += padded(size) * 4;
        return [name, view];
      }),
    );
  };
  const [parameters, gradients, first, second] = [0, regionBytes, 2 * regionBytes, 3 * regionBytes] as const;
  return {
    memory,
    regions: { parameters, gradients, first, second, count },
    parameters: views(parameters),
    gradients: views(gradients),
    moments: [new Float32Array(buffer, first, count), new Float32Array(buffer, second, count)],
  };
}
