import test from "ava";
import fc from "fast-check";
import { createOnnxBackend } from "../../src/compute/backends/onnx.js";
import { createPlainBackend } from "../../src/compute/backends/plain.js";
import type { ComputeBackend, Product, RowBlock } from "../../src/compute/compute-backend.js";
import { keptBlockBytes } from "../../src/compute/failover/kept-block-bytes.js";
import { createFailoverBackend } from "../../src/compute/failover-backend.js";
import { UnavailableError } from "../../src/errors/probestream-error.js";
import { collectGarbage } from "../../src/search/collect-garbage.js";
import { testComputeBackend } from "../contracts/compute-backend.js";
import { type Breakage, createBreakingBackends } from "../helpers/breaking-backend.js";
import { expectedSum, plain, sides, toBlocks, x } from "../helpers/failover-sums.js";
import { multiply, relativeError } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";

testComputeBackend({
  name: "plain",
  create: () => createFailoverBackend([plain]),
  tolerance: 1e-6,
});

testComputeBackend({
  name: "onnx",
  create: () => createFailoverBackend([{ name: "onnx", create: createOnnxBackend }, plain]),
  tolerance: 1e-5,
});

// Each test of the contract outlives the device at some other point of its course.
for (const afterAdds of [0, 1, 3]) {
  testComputeBackend({
    name: "plain",
    create: async () => {
      const breaking = createBreakingBackends({ afterAdds, how: "throw", isVolatile: true, often: "always" });
      const backend = await createFailoverBackend([{ name: "breaking", create: breaking.create }, plain]);
      return { ...backend, name: "plain", device: "as after its failure" };
    },
    tolerance: 1e-6,
    variant: `where a device dies after ${afterAdds} blocks`,
  });
}

test("whenever a backend breaks, and however, the next one goes on to the same sum", async (t) => {
  const cases = fc.record({
    heights: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 20 }),
    afterAdds: fc.integer({ min: 0, max: 20 }),
    how: fc.constantFrom("throw", "nan"),
    isVolatile: fc.boolean(),
    remakes: fc.boolean(),
    checks: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ heights, remakes, checks, ...breakage }) => {
      // Of numbers that a CPU spoils nothing is left to go on from.
      if (breakage.how === "nan" && !(breakage.isVolatile && checks)) return;
      const breaking = createBreakingBackends({ ...breakage, often: "always" } as Breakage);
      const backend = await createFailoverBackend([{ name: "breaking", create: breaking.create }, plain]);
      const product = await backend.load(sides(), remakes ? async () => sides() : undefined);
      const sum = product.open(x);
      const blocks = toBlocks(heights);
      for (const block of blocks) {
        await sum.add(block);
        if (checks) t.true(await sum.isFinite());
      }
      t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
      const uses = sum.uses();
      t.is(
        uses.reduce((rows, use) => rows + use.rows, 0),
        x.rows,
      );
      if (breakage.afterAdds < blocks.length) t.is(uses.at(-1)?.name, "plain");
      await sum.dispose();
      await product.dispose();
      await backend.dispose();
      t.is(breaking.created(), breaking.disposed());
    }),
    { numRuns: 300 },
  );
});

test("a sum that moves twice, off a device and then off a CPU, has every block once", async (t) => {
  const device = createBreakingBackends({ afterAdds: 2, how: "throw", isVolatile: true });
  const cpu = createBreakingBackends({ afterAdds: 3, how: "throw", isVolatile: false });
  const backend = await createFailoverBackend([
    { name: "device", create: device.create },
    { name: "cpu", create: cpu.create },
    plain,
  ]);
  const sum = (await backend.load(sides())).open(x);
  for (const block of toBlocks([10, 10, 10, 10])) await sum.add(block);
  t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
  t.deepEqual(
    sum.uses().map(({ name, rows }) => [name, rows]),
    [
      ["breaking", 30],
      ["plain", 10],
    ],
  );
});

test("a result names every backend with the rows that it added", async (t) => {
  const breaking = createBreakingBackends({ afterAdds: 2, how: "throw", isVolatile: false });
  const faults: unknown[] = [];
  const backend = await createFailoverBackend([{ name: "breaking", create: breaking.create }, plain], {
    onFault: (error) => faults.push(error),
  });
  t.is(backend.name, "breaking");
  const sum = (await backend.load(sides())).open(x);
  for (const block of toBlocks([10, 10, 10, 10])) await sum.add(block);
  t.deepEqual(sum.uses(), [
    { name: "breaking", device: "a device that dies", rows: 20 },
    { name: "plain", device: "TypeScript, CPU, 1 thread", rows: 20 },
  ]);
  t.is(faults.length, 1);
  t.is(backend.name, "plain");
  t.is(breaking.disposed(), 1);
});

for (const [title, restMs, expected] of [
  ["is out of service while it rests", 60_000, ["plain", "plain"]],
  ["is in service again when its rest is over and it works", 0, ["breaking", "breaking"]],
] as const) {
  test(`a backend that failed ${title}`, async (t) => {
    const breaking = createBreakingBackends({ afterAdds: 0, how: "throw", isVolatile: true });
    const backend = await createFailoverBackend([{ name: "breaking", create: breaking.create }, plain], { restMs });
    const product = await backend.load(sides());
    const [block] = toBlocks([]) as [RowBlock];
    const names: (string | undefined)[] = [];
    for (let use = 0; use < 2; use++) {
      const sum = product.open(x);
      await sum.add(block);
      t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
      names.push(sum.uses().at(-1)?.name);
    }
    t.deepEqual(names, [...expected]);
    t.is(breaking.created(), restMs === 0 ? 2 : 1);
  });
}

test("a backend that two sums need at once is started once", async (t) => {
  const device = createBreakingBackends({ afterAdds: 0, how: "throw", isVolatile: true });
  const next = createBreakingBackends({ afterAdds: 1000, how: "throw", isVolatile: false });
  const backend = await createFailoverBackend([
    { name: "device", create: device.create },
    { name: "next", create: next.create },
  ]);
  const products = [await backend.load(sides()), await backend.load(sides())];
  const sums = products.map((product) => product.open(x));
  const [block] = toBlocks([]) as [RowBlock];
  await Promise.all(sums.map((sum) => sum.add(block)));
  for (const sum of sums) t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
  t.is(next.created(), 1);
});

test("a backend that does not work after its rest rests again", async (t) => {
  const breaking = createBreakingBackends({ afterAdds: 0, how: "nan", isVolatile: true, often: "always" });
  const backend = await createFailoverBackend([{ name: "breaking", create: breaking.create }, plain], { restMs: 1 });
  const product = await backend.load(sides());
  for (let round = 0; round < 3; round++) {
    const sum = product.open(x);
    for (const block of toBlocks([7, 7])) {
      await sum.add(block);
      t.true(await sum.isFinite());
    }
    t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.true(breaking.created() >= 2);
});

test("a sum that overflows is not blamed on its device", async (t) => {
  const volatile = createBreakingBackends({ afterAdds: 1000, how: "throw", isVolatile: true });
  const backend = await createFailoverBackend([{ name: "breaking", create: volatile.create }, plain]);
  const huge = { rows: 1, columns: 1, values: Float32Array.of(3e38) };
  const sum = (await backend.load({ left: huge, right: { ...huge, values: huge.values.slice() } })).open(huge);
  const bytes = new Uint8Array(Float32Array.of(3e38).buffer);
  for (let i = 0; i < 3; i++) await sum.add({ bytes, dtype: "F32", rowBegin: 0, rowCount: 1, columnCount: 1 });
  // Not finite as float32; the plain backend sums in float64.
  t.deepEqual(await sum.read(), Float32Array.of(Number.POSITIVE_INFINITY));
  t.false(await sum.isFinite());
  t.is(backend.name, "breaking");
  t.is(volatile.disposed(), 0);
  await sum.dispose();
});

test("a non-finite block of a volatile sum is told as such, and no backend is blamed", async (t) => {
  const volatile = createBreakingBackends({ afterAdds: 1000, how: "throw", isVolatile: true });
  const backend = await createFailoverBackend([{ name: "breaking", create: volatile.create }, plain]);
  const sum = (await backend.load(sides())).open(x);
  const [block] = toBlocks([40]) as [RowBlock];
  const spoilt = new Float32Array(block.bytes.slice().buffer);
  spoilt[5] = Number.NaN;
  await sum.add({ ...block, bytes: new Uint8Array(spoilt.buffer) });
  t.false(await sum.isFinite());
  t.is(backend.name, "breaking");
});

test("a product whose device died is disposed of without an error, whether that was noticed or not", async (t) => {
  for (const isNoticed of [false, true]) {
    const device = createBreakingBackends({ afterAdds: 1000, how: "throw", isVolatile: true });
    const faults: unknown[] = [];
    const backend = await createFailoverBackend([{ name: "breaking", create: device.create }, plain], {
      onFault: (error) => faults.push(error),
    });
    const product = await backend.load(sides());
    const sum = product.open(x);
    device.kill();
    if (isNoticed) for (const block of toBlocks([])) await sum.add(block);
    await sum.dispose();
    await t.notThrowsAsync(product.dispose());
    t.is(faults.length, 1);
    await backend.dispose();
  }
});

// Serial, for what other tests allocate meanwhile would count.
test.serial(
  "the blocks that are kept of a volatile sum do not pile up, and what was read back is gone on from",
  async (t) => {
    const rows = 1024;
    const columns = 16_384;
    const afterAdds = 900;
    const rowsPerSave = keptBlockBytes / (4 * columns);
    // 14 times; those that it took since are added again by the next.
    const savedRows = afterAdds - (afterAdds % rowsPerSave);
    const device = createBreakingBackends({ afterAdds, how: "throw", isVolatile: true });
    const backend = await createFailoverBackend([{ name: "breaking", create: device.create }, plain]);
    const left = randomMatrix(rows, 1, 4);
    const right = randomMatrix(columns, 1, 5);
    const row = randomMatrix(1, columns, 6);
    // All rows of X are the same: Lᵀ·X·R is ΣL times row·R.
    const factor = left.values.reduce((sum, value) => sum + value, 0);
    const expected = multiply(row, right).values.map((value) => factor * value);
    const product = await backend.load({ left, right });
    const sum = product.open({ rows, columns });
    const bytes = new Uint8Array(row.values.buffer, row.values.byteOffset, row.values.byteLength);
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let rowBegin = 0; rowBegin < rows; rowBegin++) {
      await sum.add({ bytes, dtype: "F32", rowBegin, rowCount: 1, columnCount: columns });
      if (rowBegin % 16 > 0) continue;
      collectGarbage();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    t.true(most < 2 * keptBlockBytes, `${most} bytes`);
    t.deepEqual(
      sum.uses().map(({ name, rows: count }) => [name, count]),
      [
        ["breaking", savedRows],
        ["plain", rows - savedRows],
      ],
    );
    t.true(relativeError(await sum.read(), expected) < 1e-6);
  },
);

test("a lone backend that fails is made again and goes on; one that keeps failing says why", async (t) => {
  const once = createBreakingBackends({ afterAdds: 2, how: "throw", isVolatile: true });
  const backend = await createFailoverBackend([{ name: "breaking", create: once.create }]);
  const sum = (await backend.load(sides())).open(x);
  for (const block of toBlocks([10, 10, 10])) await sum.add(block);
  t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
  t.is(once.created(), 2);

  const always = createBreakingBackends({ afterAdds: 2, how: "throw", isVolatile: true, often: "always" });
  const hopeless = await createFailoverBackend([{ name: "breaking", create: always.create }]);
  const lost = (await hopeless.load(sides())).open(x);
  await t.throwsAsync(
    async () => {
      for (const block of toBlocks([10, 10, 10])) await lost.add(block);
    },
    { message: /the device is lost/ },
  );
});

test("where no backend starts, the error says which were tried and why the last did not", async (t) => {
  const create = async (): Promise<never> => {
    throw new UnavailableError("BACKEND_UNAVAILABLE", "no such device");
  };
  await t.throwsAsync(createFailoverBackend([{ name: "gpu", create }]), {
    instanceOf: UnavailableError,
    message: /^no compute backend is in service \(of gpu\): no such device;/,
  });
});

for (const [title, others, restMs, expected] of [
  ["alone it is made again", [], undefined, "breaking"],
  ["the next one takes its place", [plain], undefined, "plain"],
  ["after its rest it takes products again", [plain], 0, "breaking"],
] as const) {
  test(`a device that died while idle is out of service at the next load: ${title}`, async (t) => {
    const device = createBreakingBackends({ afterAdds: 1000, how: "throw", isVolatile: true });
    const candidates = [{ name: "breaking", create: device.create }, ...others];
    const backend = await createFailoverBackend(candidates, restMs === undefined ? {} : { restMs });
    device.kill();
    for (let use = 0; use < 2; use++) {
      const sum = (await backend.load(sides())).open(x);
      for (const block of toBlocks([])) await sum.add(block);
      t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
      t.is(sum.uses()[0]?.name, expected);
      t.is(backend.name, expected);
    }
    t.is(device.disposed(), 1);
  });
}

for (const [title, remakes] of [
  ["are not kept where they can be made again", true],
  ["are kept where they cannot be made again", false],
] as const) {
  test(`L and R ${title}`, async (t) => {
    const create = async (): Promise<ComputeBackend> => {
      const backend = createPlainBackend();
      // As a device, which has them in its own memory.
      const load: ComputeBackend["load"] = async () => backend.load(sides());
      return { ...backend, load };
    };
    const backend = await createFailoverBackend([{ name: "device", create }, plain]);
    const load = async (): Promise<[Product, WeakRef<Float32Array>]> => {
      const left = randomMatrix(40, 6, 2);
      const product = await backend.load({ left }, remakes ? async () => sides() : undefined);
      return [product, new WeakRef(left.values)];
    };
    const [product, kept] = await load();
    await new Promise((resolve) => setTimeout(resolve, 1));
    collectGarbage();
    t.is(kept.deref() === undefined, remakes);
    await product.dispose();
  });
}

test("of backends that all fail at once the last is made again, and the others rest", async (t) => {
  const [first, second] = [false, true].map((isVolatile) =>
    createBreakingBackends({ afterAdds: 1, how: "throw", isVolatile }),
  ) as [ReturnType<typeof createBreakingBackends>, ReturnType<typeof createBreakingBackends>];
  const backend = await createFailoverBackend([
    { name: "first", create: first.create },
    { name: "second", create: second.create },
  ]);
  const sum = (await backend.load(sides())).open(x);
  for (const block of toBlocks([10, 10, 10, 10])) await sum.add(block);
  t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
  t.is(first.created(), 1);
  t.is(second.created(), 2);
});
