import test from "ava";
import { createOnnxBackend } from "../../src/compute/backends/onnx.js";
import { createPlainBackend } from "../../src/compute/backends/plain.js";
import type { ComputeBackend } from "../../src/compute/compute-backend.js";
import { measureBackends } from "../../src/compute/measure-backends.js";
import { UnavailableError } from "../../src/errors/probestream-error.js";

const shape = { probeCount: 16, projectionWidth: 8 };
const plain = { name: "plain", create: async () => createPlainBackend() };
const onnx = { name: "onnx", create: createOnnxBackend };

/** The plain backend with every sum changed as it is read, and so much slower. */
function createChanged(change: (values: Float32Array) => Float32Array, delayMs = 0): ComputeBackend {
  const backend = createPlainBackend();
  return {
    ...backend,
    device: "changed",
    load: async (sides) => {
      const product = await backend.load(sides);
      return {
        ...product,
        open: (x) => {
          const sum = product.open(x);
          return {
            ...sum,
            add: async (block) => {
              await new Promise((resolve) => setTimeout(resolve, delayMs));
              await sum.add(block);
            },
            read: async () => change(await sum.read()),
          };
        },
      };
    },
  };
}

test("the fastest backend that agrees comes first", async (t) => {
  const slow = { name: "slow", create: async () => createChanged((values) => values, 50) };
  const measured = await measureBackends([slow, plain, onnx], createPlainBackend(), shape);
  t.deepEqual(
    measured.map(({ name }) => name),
    ["onnx", "plain", "slow"],
  );
  for (const { name, device, gflops, relativeError, unusable } of measured) {
    t.not(device, "", name);
    t.true(gflops > 0, name);
    t.true(relativeError < 1e-6, name);
    t.is(unusable, undefined, name);
  }
});

for (const [title, change] of [
  ["off by a thousandth", (values) => values.map((value) => value * 1.001)],
  ["zero", (values) => values.fill(0)],
  ["NaN", (values) => values.fill(Number.NaN)],
  ["of another length", (values) => values.subarray(1)],
] as const satisfies readonly (readonly [string, (values: Float32Array) => Float32Array])[]) {
  test(`a backend whose numbers are ${title} is never used, however fast`, async (t) => {
    const wrong = { name: "wrong", create: async () => createChanged(change) };
    const [first, second] = await measureBackends([wrong, plain], createPlainBackend(), shape);
    t.is(first?.name, "plain");
    t.regex(second?.unusable ?? "", /^its numbers are off by .*; 0\.00001 is allowed$/);
  });
}

test("a GPU may be off by 1e-4", async (t) => {
  const create = async (): Promise<ComputeBackend> => createChanged((values) => values.map((value) => value * 1.00005));
  const measured = await measureBackends(
    [
      { name: "gpu", create },
      { name: "wasm", create },
    ],
    createPlainBackend(),
    shape,
  );
  t.is(measured.find(({ name }) => name === "gpu")?.unusable, undefined);
  t.regex(measured.find(({ name }) => name === "wasm")?.unusable ?? "", /off by/);
});

test("a backend that does not start comes last, with the reason", async (t) => {
  const absent = {
    name: "gpu",
    create: async (): Promise<never> => {
      throw new UnavailableError("BACKEND_UNAVAILABLE", "not available: no device");
    },
  };
  const measured = await measureBackends([absent, plain], createPlainBackend(), shape);
  t.deepEqual(measured.at(-1), {
    name: "gpu",
    device: "",
    gflops: 0,
    relativeError: 0,
    unusable: "not available: no device",
  });
});
