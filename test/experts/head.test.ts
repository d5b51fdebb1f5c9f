import test from "ava";
import { createOnnxBackend } from "../../src/compute/backends/onnx.js";
import { createPlainBackend } from "../../src/compute/backends/plain.js";
import { createWasmBackend } from "../../src/compute/backends/wasm.js";
import type { ComputeBackend } from "../../src/compute/compute-backend.js";
import type { BackendName } from "../../src/compute/create-backend.js";
import { createHead, toProbabilities } from "../../src/experts/head.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createExpertParameters } from "../helpers/expert-folder.js";
import { exactCosine, exactLinear, relativeError } from "../helpers/oracle.js";
import { randomMatrix, randomValues } from "../helpers/random.js";

/** Those that run anywhere; what a GPU is held to is in its own suite. */
type CpuBackendName = Exclude<BackendName, "gpu" | "onnx-cuda" | "onnx-webgpu">;

const backends = {
  plain: async () => createPlainBackend(),
  onnx: () => createOnnxBackend(),
  wasm: () => createWasmBackend(),
} satisfies Record<CpuBackendName, () => Promise<ComputeBackend>>;

const sizes = { rows: 9, columns: 7, probeCount: 16, projectionWidth: 8, representationWidth: 24, headWidth: 20 };
const digest = new Uint8Array(32);

for (const name of Object.keys(backends) as CpuBackendName[]) {
  test(`${name} gives representations and cosines of several models within 1e-5 of float64`, async (t) => {
    const backend = await backends[name]();
    t.teardown(() => backend.dispose());
    const parameters = createExpertParameters(sizes);
    const head = await createHead(backend, { ...parameters, digest });
    t.true(head.hasTextHead);
    const responses = [1, 2, 3].map((seed) => randomValues(128, seed).map((value) => Math.max(0, value)));
    const texts = randomMatrix(6, 20, 9);
    const images = await head.toTextImages(texts);
    const representations = await head.encode(responses);
    t.is(representations.length, 3);
    for (const [i, representation] of representations.entries()) {
      const exact = exactLinear(parameters.encoder.weight, parameters.encoder.bias, responses[i] ?? []);
      t.true(relativeError(representation, exact) <= 1e-5);
      const cosines = Array.from({ length: 6 }, (_, row) => {
        const text = texts.values.subarray(row * 20, (row + 1) * 20);
        return exactCosine(exact, exactLinear(parameters.head.weight, parameters.head.bias, text));
      });
      t.true(relativeError(head.cosines(representation, images), cosines) <= 1e-5);
      t.is(head.logits(representation).length, 0);
    }
    await head.dispose();
  });

  test(`${name} gives logits of a classification expert within 1e-5 of float64`, async (t) => {
    const backend = await backends[name]();
    t.teardown(() => backend.dispose());
    const parameters = createExpertParameters({ ...sizes, objective: "classification" });
    const head = await createHead(backend, { ...parameters, digest });
    t.false(head.hasTextHead);
    const [representation] = await head.encode([randomValues(128, 4)]);
    if (representation === undefined) throw t.fail("no representation");
    const exact = exactLinear(parameters.head.weight, parameters.head.bias, representation);
    t.true(relativeError(head.logits(representation), exact) <= 1e-5);
    await assertRefused(t, () => head.toTextImages(randomMatrix(1, 24, 1)), {
      reason: "FIELD_INVALID",
      message: "text vectors were sent for a classification expert, which has no text head; leave text_vectors out",
    });
    await head.dispose();
  });

  test(`${name} refuses text vectors that are not the text encoder's`, async (t) => {
    const backend = await backends[name]();
    t.teardown(() => backend.dispose());
    const head = await createHead(backend, { ...createExpertParameters(sizes), digest });
    await assertRefused(t, () => head.toTextImages(randomMatrix(2, 19, 1)), {
      kind: "invalid-input",
      reason: "TEXT_WIDTH_MISMATCH",
      message: "text vectors are 19 wide, the expert compares with 20: use the text encoder it was trained with",
      facts: { found: 19, expected: 20 },
    });
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const texts = { rows: 1, columns: 20, values: new Float32Array(20).fill(value, 3, 4) };
      await assertRefused(t, () => head.toTextImages(texts), {
        reason: "FIELD_INVALID",
        message: "text vectors hold NaN or infinity; they must be finite",
      });
    }
    t.is((await head.toTextImages({ rows: 0, columns: 20, values: new Float32Array(0) })).rows, 0);
  });
}

test("a representation of all zeros has cosine 0 with every text", async (t) => {
  const head = await createHead(createPlainBackend(), { ...createExpertParameters(sizes), digest });
  const images = await head.toTextImages(randomMatrix(3, 20, 2));
  t.deepEqual([...head.cosines(new Float32Array(24), images)], [0, 0, 0]);
});

test("probabilities are the sigmoid of logits, without overflow at either end", (t) => {
  t.deepEqual([...toProbabilities(Float32Array.of(0, 1000, -1000))], [0.5, 1, 0]);
  t.true(
    relativeError(toProbabilities(Float32Array.of(1, -2)), [1 / (1 + Math.E ** -1), 1 / (1 + Math.E ** 2)]) < 1e-6,
  );
});

test("a product of the head that fails leaves no sum on the backend", async (t) => {
  const plain = createPlainBackend();
  let disposed = 0;
  const load: ComputeBackend["load"] = async (sides) => {
    const product = await plain.load(sides);
    const add = async (): Promise<never> => {
      throw new Error("the device is lost");
    };
    const dispose = async (): Promise<void> => {
      disposed++;
    };
    return { ...product, open: (shape) => ({ ...product.open(shape), add, dispose }) };
  };
  const head = await createHead({ ...plain, load }, { ...createExpertParameters(sizes), digest });
  await t.throwsAsync(head.encode([randomValues(128, 4)]), { message: "the device is lost" });
  t.is(disposed, 1);
});
