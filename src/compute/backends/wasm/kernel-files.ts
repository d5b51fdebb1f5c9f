import { readFile } from "node:fs/promises";
import type { KernelBuild, KernelFiles } from "./kernel.js";

/** The files that the build writes, each by its whole name: so that what packs this module finds them. */
const files: Readonly<Record<"own" | "shared", Readonly<Record<KernelBuild, URL>>>> = {
  own: {
    plain: new URL("./kernel/plain-own.wasm", import.meta.url),
    relaxed: new URL("./kernel/relaxed-own.wasm", import.meta.url),
  },
  shared: {
    plain: new URL("./kernel/plain-shared.wasm", import.meta.url),
    relaxed: new URL("./kernel/relaxed-shared.wasm", import.meta.url),
  },
};

/** Reads the kernel for a memory of one thread, or for one that threads share. */
export async function readKernelFiles(memory: "own" | "shared"): Promise<KernelFiles> {
  const [plain, relaxed] = await Promise.all([readFile(files[memory].plain), readFile(files[memory].relaxed)]);
  return { plain, relaxed };
}
