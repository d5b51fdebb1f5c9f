import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { createLoneCrew } from "../../../src/compute/backends/wasm/crew.js";
import { compileKernel, instantiateKernel, type KernelBuild } from "../../../src/compute/backends/wasm/kernel.js";
import { createKernelBackend } from "../../../src/compute/backends/wasm/kernel-backend.js";
import { readKernelFiles } from "../../../src/compute/backends/wasm/kernel-files.js";
import { createRegions } from "../../../src/compute/backends/wasm/regions.js";
import { wasmEngine } from "../../../src/compute/backends/wasm/web-assembly.js";
import { createWasmBackend } from "../../../src/compute/backends/wasm.js";
import type { ComputeBackend, ProductSides } from "../../../src/compute/compute-backend.js";
import { type Dtype, dtypeBytes } from "../../../src/linalg/dtype.js";
import { testComputeBackend } from "../../contracts/compute-backend.js";
import { decode, dtypes, randomNumbers } from "../../helpers/decode.js";
import { type ExactMatrix, multiply, relativeError, turned } from "../../helpers/oracle.js";
import { randomMatrix } from "../../helpers/random.js";

const files = await readKernelFiles("own");

/** A stored layer, and its sums for L alone, R alone and both, in float64. */
interface Reckoned {
  readonly bytes: Uint8Array;
  readonly sums: readonly (readonly [hasLeft: boolean, hasRight: boolean, expected: ExactMatrix])[];
}

/** What was reckoned: every build is held to the same. */
const reckonedOf = new Map<string, Reckoned>();

function reckon(rows: number, columns: number, dtype: Dtype, l: number, r: number): Reckoned {
  const key = [rows, columns, dtype, l, r].join(" ");
  const known = reckonedOf.get(key);
  if (known !== undefined) return known;
  const bytes = randomNumbers(rows * columns, dtype, rows);
  const x = { rows, columns, values: decode(bytes, dtype) };
  const xr = multiply(x, randomMatrix(columns, r, 2));
  const leftT = turned(randomMatrix(rows, l, 1));
  const reckoned = {
    bytes,
    sums: [
      [false, true, xr],
      [true, false, multiply(leftT, x)],
      [true, true, multiply(leftT, xr)],
    ],
  } as const;
  reckonedOf.set(key, reckoned);
  return reckoned;
}

for (const build of ["plain", "relaxed"] as const satisfies readonly KernelBuild[]) {
  if (!wasmEngine.validate(files[build])) {
    test.skip(`wasm (${build}) passes the contract: this engine does not take the build`, () => {});
    continue;
  }
  for (const threads of [1, 2]) {
    const variant = `${build}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
    // The bound of CPU backends: float32 sums of float32 products.
    const tolerance = 1e-5;
    const create = (): Promise<ComputeBackend> => createWasmBackend({ build, threads });
    // Helper threads take their time to start.
    let shared: Promise<ComputeBackend> | undefined;
    const share = (): Promise<ComputeBackend> => {
      shared ??= create();
      return shared;
    };
    test.after.always(async () => (await shared)?.dispose());
    testComputeBackend({ name: "wasm", variant, create, share, tolerance });

    for (const [rows, columns, l, r] of [
      [1, 9973, 3, 5],
      [37, 8209, 13, 11],
      [1511, 101, 5, 7],
      [5003, 1, 9, 1],
      [4099, 3, 1, 2],
      [19, 70_001, 2, 3],
      [331, 509, 17, 131],
    ] as const) {
      test(`wasm (${variant}) sums a ${rows} × ${columns} layer that takes several strips, ${l} by ${r}`, async (t) => {
        const backend = await share();
        // Products of wide layers are reckoned once per element type, in float64: two types of different width do.
        for (const dtype of ["F32", "BF16"] as const) {
          const { bytes, sums } = reckon(rows, columns, dtype, l, r);
          for (const [hasLeft, hasRight, expected] of sums) {
            const sides: ProductSides = {
              ...(hasLeft && { left: randomMatrix(rows, l, 1) }),
              ...(hasRight && { right: randomMatrix(columns, r, 2) }),
            };
            const product = await backend.load(sides);
            const sum = product.open({ rows, columns });
            await sum.add({ bytes, dtype, rowBegin: 0, rowCount: rows, columnCount: columns });
            const error = relativeError(await sum.read(), expected.values);
            t.true(error <= tolerance, `${Object.keys(sides).join(" and ")}, ${dtype}: ${error}`);
            await sum.dispose();
            await product.dispose();
          }
        }
      });
    }
  }

  test(`wasm (${build}) widens every number of 8 and 16 bits exactly`, async (t) => {
    const backend = await createWasmBackend({ build });
    t.teardown(() => backend.dispose());
    const product = await backend.load({ right: { rows: 1, columns: 1, values: Float32Array.of(1) } });
    for (const dtype of dtypes.filter((each) => dtypeBytes[each] <= 2)) {
      const count = 256 ** dtypeBytes[dtype];
      const patterns = Uint16Array.from({ length: count }, (_, bits) => bits);
      const bytes = dtypeBytes[dtype] === 2 ? new Uint8Array(patterns.buffer) : Uint8Array.from(patterns);
      const sum = product.open({ rows: count, columns: 1 });
      await sum.add({ bytes, dtype, rowBegin: 0, rowCount: count, columnCount: 1 });
      const found = await sum.read();
      const expected = decode(bytes, dtype);
      // A sum that begins at 0 has no -0.
      t.is(
        found.findIndex((value, i) => !Object.is(value, (expected[i] ?? 0) + 0)),
        -1,
        dtype,
      );
      await sum.dispose();
    }
  });
}

test("wasm sums positive numbers over many rows within 1e-6, where float32 alone would drift", async (t) => {
  const backend = await createWasmBackend();
  t.teardown(() => backend.dispose());
  const [rows, columns] = [64, 4096];
  const values = randomMatrix(rows, columns, 5).values.map((value) => 1 + value / 8);
  const left = randomMatrix(rows, 3, 6).values.map((value) => 1 + value / 8);
  const right = randomMatrix(columns, 3, 7).values.map((value) => 1 + value / 8);
  const product = await backend.load({
    left: { rows, columns: 3, values: left },
    right: { rows: columns, columns: 3, values: right },
  });
  const sum = product.open({ rows, columns });
  const bytes = new Uint8Array(values.buffer);
  const times = 500;
  for (let i = 0; i < times; i++) {
    await sum.add({ bytes, dtype: "F32", rowBegin: 0, rowCount: rows, columnCount: columns });
  }
  const xr = multiply({ rows, columns, values }, { rows: columns, columns: 3, values: right });
  const expected = multiply(turned({ rows, columns: 3, values: left }), xr).values.map((value) => value * times);
  const error = relativeError(await sum.read(), expected);
  t.true(error < 1e-6, `relative error ${error}`);
});

test("wasm takes no more memory for products and sums that come and go than for the first", async (t) => {
  const memory = new wasmEngine.Memory({ initial: 1 });
  const { module, build } = compileKernel(files);
  const kernel = instantiateKernel(module, memory);
  const backend = createKernelBackend({
    kernel,
    build,
    memory,
    regions: createRegions(memory),
    crew: createLoneCrew(kernel),
  });
  const x = { rows: 64, columns: 300 };
  const bytes = new Uint8Array(randomMatrix(64, 300, 1).values.buffer);
  const round = async (): Promise<void> => {
    const product = await backend.load({ left: randomMatrix(64, 128, 2), right: randomMatrix(300, 128, 3) });
    const sums = Array.from({ length: 8 }, () => product.open(x));
    for (const sum of sums) {
      await sum.add({ bytes, dtype: "F32", rowBegin: 0, rowCount: 64, columnCount: 300 });
    }
    for (const sum of sums) await sum.dispose();
    await product.dispose();
  };
  await round();
  const before = memory.buffer.byteLength;
  for (let i = 0; i < 200; i++) await round();
  t.is(memory.buffer.byteLength, before);
});

test("a wasm sum that was disposed, or whose product was, refuses more", async (t) => {
  const backend = await createWasmBackend();
  t.teardown(() => backend.dispose());
  const product = await backend.load({ right: randomMatrix(3, 2, 1) });
  const [first, second] = [product.open({ rows: 1, columns: 3 }), product.open({ rows: 1, columns: 3 })];
  await first.dispose();
  await first.dispose();
  await t.throwsAsync(first.read(), { message: /disposed/ });
  await product.dispose();
  await product.dispose();
  const block = { bytes: new Uint8Array(12), dtype: "F32", rowBegin: 0, rowCount: 1, columnCount: 3 } as const;
  await t.throwsAsync(second.add(block), { message: /disposed/ });
  await second.dispose();
});

for (const ending of ["", "await backend.dispose(); await backend.dispose();"]) {
  test(`helper threads of wasm let the process end ${ending === "" ? "without" : "after"} dispose`, async (t) => {
    const url = new URL("../../../src/compute/backends/wasm.js", import.meta.url).href;
    const script = `
      const { createWasmBackend } = await import(${JSON.stringify(url)});
      const backend = await createWasmBackend({ threads: 3 });
      ${ending}
      console.log(backend.device);`;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000 });
    t.regex(stdout, /3 threads/);
  });
}

test("wasm names the builds that an engine without SIMD refuses", (t) => {
  const nothing = new Uint8Array(0);
  t.throws(() => compileKernel({ plain: nothing, relaxed: nothing }), { message: /needs WebAssembly SIMD/ });
});
