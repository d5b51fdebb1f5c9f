import { readFile } from "node:fs/promises";
import { type WasmMemory, wasmEngine } from "../compute/backends/wasm/web-assembly.js";

/** How parameters are moved: Adam as PyTorch has it, with its defaults. */
export interface AdamSettings {
  readonly learningRate: number;
  /** L2: this much of each parameter is added to its gradient. Default 0. */
  readonly weightDecay?: number;
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
}

/** Where in the kernel's memory the numbers lie: byte offsets, on multiples of 16; `count` is a multiple of 4. */
export interface AdamRegions {
  readonly parameters: number;
  readonly gradients: number;
  readonly first: number;
  readonly second: number;
  readonly count: number;
}

/** Moves the parameters once; `step` counts from 1. */
export type Adam = (regions: AdamRegions, step: number, settings: AdamSettings) => void;

/** What the AssemblyScript kernel exports, see `kernel/index.ts`. */
interface AdamKernel {
  adam(
    parameters: number,
    gradients: number,
    first: number,
    second: number,
    count: number,
    rate: number,
    scale: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    decay: number,
  ): void;
}

/** Opens the kernel on a memory of one thread. */
export async function openAdam(memory: WasmMemory): Promise<Adam> {
  const bytes = await readFile(new URL("./kernel/plain-own.wasm", import.meta.url));
  const { exports } = new wasmEngine.Instance(new wasmEngine.Module(bytes), { env: { memory } });
  const kernel = exports as AdamKernel;
  return ({ parameters, gradients, first, second, count }, step, settings) => {
    const { learningRate, weightDecay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = settings;
    const rate = learningRate / (1 - beta1 ** step);
    const scale = 1 / Math.sqrt(1 - beta2 ** step);
    kernel.adam(parameters, gradients, first, second, count, rate, scale, beta1, beta2, epsilon, weightDecay);
  };
}
