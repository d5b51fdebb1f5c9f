import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { hashModel } from "../../../src/trees/identity/hash-model.js";
import { openModel } from "../../../src/weights/model-file.js";
import type { TensorData } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { toIndexBytes } from "../../weights/model-files.js";
import { encodeInOrder } from "./files.js";

const tensorBytes = fc.uint8Array({ minLength: 0, maxLength: 40 });
const tensors = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 })
  .filter((names) => !names.includes("__metadata__"))
  .chain((names) =>
    fc.tuple(...names.map((name) => tensorBytes.map((bytes): TensorData => toBytesTensor(name, bytes)))),
  );

function toBytesTensor(name: string, bytes: Uint8Array): TensorData {
  return { name, dtype: "U8", shape: [bytes.length], bytes };
}

test("neither metadata nor order, padding or shards change the hash of the weights", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [plain, other] = [join(folder, "plain.safetensors"), join(folder, "other.safetensors")];
  const index = join(folder, "s.safetensors.index.json");
  const setting = fc.record({
    own: tensors,
    order: fc.infiniteStream(fc.nat()),
    metadata: fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 3 }),
    padding: fc.nat(20),
    cut: fc.nat(6),
  });
  await fc.assert(
    fc.asyncProperty(setting, async ({ own, order, metadata, padding, cut }) => {
      const keys = new Map(own.map((tensor) => [tensor, order.next().value ?? 0]));
      const turned = [...own].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
      await writeFile(plain, encodeInOrder(own, {}, 0));
      await writeFile(other, encodeInOrder(turned, metadata, padding));
      const shards = [turned.slice(0, cut), turned.slice(cut)].filter((part) => part.length > 0);
      const map = shards.flatMap((part, at) => part.map(({ name }) => [name, `s-${at}.safetensors`]));
      for (const [at, part] of shards.entries()) {
        await writeFile(join(folder, `s-${at}.safetensors`), encodeInOrder(part, metadata, padding));
      }
      await writeFile(index, toIndexBytes(Object.fromEntries(map)));
      const hashes = await Promise.all([plain, other, index].map((file) => hashModel(file)));
      const file = createHash("sha256")
        .update(await readFile(other))
        .digest("hex");
      if (hashes[1]?.file !== file) throw new Error("not the file's hash");
      if (new Set(hashes.map(({ weights }) => weights)).size !== 1) throw new Error("other weights");
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test("any change of a name, a type, an extent or a byte changes the hash of the weights", async (t) => {
  const folder = await createTemporaryFolder(t);
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const variants: TensorData[][] = [
    [{ name: "a", dtype: "F16", shape: [2, 2], bytes }],
    [{ name: "b", dtype: "F16", shape: [2, 2], bytes }],
    [{ name: "a", dtype: "BF16", shape: [2, 2], bytes }],
    [{ name: "a", dtype: "F16", shape: [4], bytes }],
    [{ name: "a", dtype: "F16", shape: [2, 2], bytes: bytes.toReversed() }],
    [toBytesTensor("a", bytes), toBytesTensor("b", new Uint8Array(0))],
  ];
  const found = await Promise.all(
    variants.map(async (own, at) => {
      const file = join(folder, `${at}.safetensors`);
      await writeFile(file, encodeInOrder(own, {}, 0));
      return (await hashModel(file)).weights;
    }),
  );
  t.is(new Set(found).size, variants.length);
});

test("tensors that share their bytes in a PyTorch checkpoint are hashed each", async (t) => {
  const fixtures = join("test", "fixtures", "torch");
  const [plain, trainer] = await Promise.all(
    ["state-dict.bin", "trainer.ckpt"].map((file) => hashModel(join(fixtures, file))),
  );
  t.is(plain?.weights, trainer?.weights);
  t.not(plain?.file, trainer?.file);
  // A safetensors copy of all of it but what safetensors has no type for, which an index leaves out.
  const folder = await createTemporaryFolder(t);
  const model = await openModel(join(fixtures, "state-dict.bin"));
  const kept = [...model.tensors.values()].filter(({ dtype }) => dtype !== "F32_STRIDED");
  const copies: TensorData[] = [];
  for (const { name, dtype, shape } of kept) {
    const size = model.files[0]?.tensors.find((tensor) => tensor.name === name);
    const pieces: Uint8Array[] = [];
    const length = (size?.end ?? 0) - (size?.begin ?? 0);
    for await (const piece of model.streamTensor(name, 0, length)) pieces.push(piece);
    copies.push({ name, dtype, shape, bytes: Buffer.concat(pieces) });
  }
  await model.close();
  await writeFile(join(folder, "copy.safetensors"), encodeInOrder(copies, {}, 0));
  await writeFile(join(folder, "model.bin"), await readFile(join(fixtures, "state-dict.bin")));
  const map = Object.fromEntries(kept.map(({ name }) => [name, "model.bin"]));
  await writeFile(join(folder, "model.bin.index.json"), toIndexBytes(map));
  const [copy, kind] = await Promise.all(
    ["copy.safetensors", "model.bin.index.json"].map((file) => hashModel(join(folder, file))),
  );
  t.is(copy?.weights, kind?.weights);
});

test("a signal ends the hashing", async (t) => {
  const signal = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(hashModel(join("demo", "dense.safetensors"), { signal }), { message: "enough" });
});
