import { existsSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { InvalidInputError, ProbestreamError } from "../../../src/errors/probestream-error.js";
import type { ByteSource } from "../../../src/weights/byte-source.js";
import { createMemorySource } from "../../../src/weights/memory-source.js";
import { openModel } from "../../../src/weights/model-file.js";
import { readTorchHeader } from "../../../src/weights/torch/read-torch-header.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

/** Written by PyTorch itself: `make.py` beside them. */
const folder = join("test", "fixtures", "torch");

interface Expected {
  readonly shape: readonly number[];
  readonly hex: string;
}

async function readExpected(): Promise<Record<string, Expected>> {
  return JSON.parse(await readFile(join(folder, "expected.json"), "utf8"));
}

for (const file of ["state-dict.bin", "trainer.ckpt"]) {
  test(`tensors of ${file} are those that PyTorch wrote, bit for bit`, async (t) => {
    const model = await openModel(join(folder, file));
    try {
      for (const [name, { shape, hex }] of Object.entries(await readExpected())) {
        t.deepEqual(model.tensors.get(name)?.shape, shape);
        const pieces: Uint8Array[] = [];
        for await (const piece of model.streamTensor(name, 0, hex.length / 2, { chunkBytes: 7 })) pieces.push(piece);
        t.is(Buffer.concat(pieces).toString("hex"), hex);
      }
      const types = [...model.tensors.values()].map(({ name, dtype }) => `${name} ${dtype}`).sort();
      t.deepEqual(types, [
        "net.a.bias I64",
        "net.a.weight F32",
        "net.b.turned F32_STRIDED",
        "net.b.weight F32",
        "net.c.weight F16",
        "net.d.weight BF16",
        "net.e.weight F64",
        "net.tied.weight F32",
      ]);
    } finally {
      await model.close();
    }
  });
}

test("what a trainer keeps beside the model is not taken for it, and plain values are metadata", async (t) => {
  const { metadata } = await readTorchHeader(await toSource("trainer.ckpt"));
  t.deepEqual(
    [...metadata],
    [
      ["epoch", "3"],
      ["global_step", "1200"],
      ["note", "toy"],
    ],
  );
});

test("a pickle that would run code is refused by what it asks for, and nothing ran", async (t) => {
  const error = await t.throwsAsync(readTorchHeader(await toSource("runs-code.bin")), {
    instanceOf: InvalidInputError,
  });
  t.is(error?.reason, "FORMAT_REFUSED");
  t.regex(error?.message ?? "", /"posix\.system"/);
  t.false(existsSync("pwned"));
});

test("a file from before PyTorch 1.6 is refused with how to convert it", async (t) => {
  await t.throwsAsync(openModel(join(folder, "legacy.pt")), { instanceOf: InvalidInputError, message: /torch\.load/ });
});

test("a folder with one checkpoint stands for it, with several for none", async (t) => {
  const own = await createTemporaryFolder(t);
  await cp(join(folder, "state-dict.bin"), join(own, "pytorch_model.bin"));
  const model = await openModel(own);
  t.is(model.tensors.size, 8);
  await model.close();
  // Neither is a model's.
  await cp(join(folder, "state-dict.bin"), join(own, "optimizer.pt"));
  await writeFile(join(own, "notes.bin"), "");
  await (await openModel(own)).close();
  await cp(join(folder, "state-dict.bin"), join(own, "other.pt"));
  await t.throwsAsync(openModel(own), { message: /2 models; name one of them/ });
});

test("shards of PyTorch are read by their index", async (t) => {
  const own = await createTemporaryFolder(t);
  await cp(join(folder, "state-dict.bin"), join(own, "pytorch_model-00001-of-00001.bin"));
  const names = [...(await readTorchHeader(await toSource("state-dict.bin"))).tensors].map(({ name }) => name);
  const map = Object.fromEntries(names.map((name) => [name, "pytorch_model-00001-of-00001.bin"]));
  await writeFile(join(own, "pytorch_model.bin.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
  for (const location of [join(own, "pytorch_model.bin.index.json"), own]) {
    const model = await openModel(location);
    t.is(model.tensors.size, 8);
    await model.close();
  }
});

test("a checkpoint that is cut off anywhere is refused with a reason", async (t) => {
  const bytes = await readFile(join(folder, "state-dict.bin"));
  for (let length = 0; length < bytes.length; length += 13) {
    const error = await t.throwsAsync(readTorchHeader(createMemorySource(bytes.subarray(0, length), "cut.bin")));
    t.true(error instanceof ProbestreamError, String(error));
  }
});

test("of damaged bytes comes a header or an error with a reason, never another", async (t) => {
  const bytes = await readFile(join(folder, "trainer.ckpt"));
  const change = fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const damaged = Buffer.from(bytes);
      for (const { at, to } of changes) damaged[at] = to;
      try {
        const { tensors } = await readTorchHeader(createMemorySource(damaged, "damaged.ckpt"));
        for (const { begin, end } of tensors) if (begin < 0 || end > damaged.length) throw new Error("outside");
      } catch (error) {
        if (!(error instanceof ProbestreamError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

async function toSource(file: string): Promise<ByteSource> {
  return createMemorySource(await readFile(join(folder, file)), file);
}
