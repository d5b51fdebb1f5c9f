import test from "ava";
import fc from "fast-check";
import { createMemorySource } from "../../src/weights/memory-source.js";
import { openModel } from "../../src/weights/model-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";

const tensors: readonly TensorData[] = [
  { name: "half", dtype: "F16", shape: [3], bytes: Uint8Array.of(0, 60, 0, 64, 0, 66) },
  { name: "layer.weight", dtype: "F32", shape: [2, 3], bytes: float32Bytes(Float32Array.of(1, 2, 3, 4, 5, 6)) },
];

test("a model in memory is read as the same file would be, as bytes and as tensors", async (t) => {
  const bytes = encodeSafetensors(tensors, { note: "hello" });
  for (const content of [
    { name: "in memory", bytes },
    { name: "in memory", bytes: Buffer.from(bytes) },
    { name: "in memory", tensors, metadata: { note: "hello" } },
  ]) {
    const model = await openModel(content);
    t.is(model.location, "in memory");
    t.false(model.remote);
    t.is(model.metadata.get("note"), "hello");
    t.deepEqual(model.tensors.get("layer.weight"), { name: "layer.weight", dtype: "F32", shape: [2, 3] });
    for (const { name, bytes: wanted } of tensors) {
      const read: number[] = [];
      for await (const piece of model.streamTensor(name, 1, wanted.length, { chunkBytes: 2 })) read.push(...piece);
      t.deepEqual(read, [...wanted.subarray(1)]);
    }
    const whole: number[] = [];
    for await (const piece of model.streamFile(0)) whole.push(...piece);
    t.deepEqual(whole, [...bytes]);
    await model.close();
  }
});

test("two models in memory are never taken for the same, for nobody has read them whole", async (t) => {
  const open = async (): Promise<string> => (await openModel({ name: "same", tensors })).identity;
  t.not(await open(), await open());
});

test("a model in memory that cannot be read is refused by its name", async (t) => {
  await t.throwsAsync(openModel({ name: "my bytes", bytes: new Uint8Array(3) }), {
    name: "InvalidInputError",
    message: /my bytes/,
  });
  const [half] = tensors;
  if (half === undefined) return t.fail();
  await t.throwsAsync(openModel({ name: "arrays", tensors: [{ ...half, shape: [4] }] }), {
    message: /"half" has 6 bytes, which F16 of shape \[4\] does not take/,
  });
});

test("a source of several pieces reads as one of them put together", async (t) => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 8 }), async (given, a, b, chunkBytes) => {
      const whole = Buffer.concat(given);
      const [begin = 0, end = 0] = [a % (whole.length + 1), b % (whole.length + 1)].sort((x, y) => x - y);
      const source = createMemorySource(given, "pieces");
      t.deepEqual(Buffer.from(await source.read(begin, end)), whole.subarray(begin, end));
      const streamed: Uint8Array[] = [];
      for await (const piece of source.stream(begin, end, { chunkBytes })) streamed.push(piece);
      t.deepEqual(Buffer.concat(streamed), whole.subarray(begin, end));
    }),
    { numRuns: 50 },
  );
});
