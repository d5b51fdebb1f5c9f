import { readFile } from "node:fs/promises";
import type { KernelFiles } from "./kernel.js";

/** Reads the kernel for a memory of one thread, or for one that threads share: the build writes the files. */
export async function readKernelFiles(memory: "own" | "shared"): Promise<KernelFiles> {
  const read = (build: string): Promise<Uint8Array> =>
    readFile(new URL(`./kernel/${build}-${memory}.wasm`, import.meta.url));
  const [plain, relaxed] = await Promise.all([read("plain"), read("relaxed")]);
  return { plain, relaxed };
}
