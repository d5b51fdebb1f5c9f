import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const builds = { plain: [], relaxed: ["--enable", "relaxed-simd"] } as const;
/** A module says whether its memory is shared; one that is has a largest size, in pages of 64 KiB: 4 GiB. */
const memories = { own: [], shared: ["--sharedMemory", "--maximumMemory", "65536", "--enable", "threads"] } as const;

/** Which builds of a kernel are used, and with which memories. */
interface Kernel {
  readonly source: string;
  readonly builds: Partial<typeof builds>;
  readonly memories: Partial<typeof memories>;
}

const kernels: readonly Kernel[] = [
  { source: "src/compute/backends/wasm/kernel", builds, memories },
  { source: "src/training/kernel", builds: { plain: builds.plain }, memories: { own: memories.own } },
  { source: "src/trees/sketches/kernel", builds: { plain: builds.plain }, memories: { own: memories.own } },
];

/** Compiles a WebAssembly kernel, one file per build and kind of memory, unless what is there is newer. */
function buildKernel({ source, builds, memories }: Kernel): void {
  const target = `dist/${source}`;
  const require = createRequire(import.meta.url);
  const compiler = require.resolve("assemblyscript/bin/asc.js");
  mkdirSync(target, { recursive: true });
  const inputs = [...readdirSync(source).map((file) => join(source, file)), compiler, import.meta.filename];
  const newest = Math.max(...inputs.map((file) => statSync(file).mtimeMs));
  for (const [build, buildOptions] of Object.entries(builds)) {
    for (const [memory, memoryOptions] of Object.entries(memories)) {
      const file = join(target, `${build}-${memory}.wasm`);
      if ((statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) continue;
      const options = [
        "--runtime",
        "stub",
        "--importMemory",
        "--noExportMemory",
        "--noAssert",
        "-O3",
        "--enable",
        "simd",
      ];
      const { status } = spawnSync(
        process.execPath,
        [compiler, join(source, "index.ts"), "-o", file, ...options, ...buildOptions, ...memoryOptions],
        { stdio: "inherit" },
      );
      if (status !== 0) throw new Error(`asc ended with ${status}`);
    }
  }
}

for (const kernel of kernels) buildKernel(kernel);
