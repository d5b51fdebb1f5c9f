import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { findBase } from "../../../src/trees/identity/find-base.js";
import { readTensors } from "../../../src/weights/safetensors-file.js";
import { encodeSafetensors } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { toBase, toFullModel } from "../tree-models.js";
import { writeSiblings } from "./siblings.js";

const ancestor = join("demo", "dense-ancestor.safetensors");

test("each of 20 fine-tunes finds its own base, and a base of the same shapes is none of its relatives", async (t) => {
  const folder = await createTemporaryFolder(t);
  const tuned = await writeSiblings(folder, "dense", 20);
  // The same shapes from another beginning.
  const { tensors } = await readTensors(ancestor);
  const other = join(folder, "other.safetensors");
  const turned = [...tensors.values()].map((tensor) => ({ ...tensor, bytes: tensor.bytes.toReversed() }));
  await writeFile(other, encodeSafetensors(turned.map((tensor) => swapBytes(tensor, tensor.dtype === "F16" ? 2 : 4))));
  for (const model of tuned) {
    const found = await findBase(model, [other, join("demo", "loras-ancestor.safetensors"), ancestor]);
    t.deepEqual(
      found.candidates.map(({ location, isRelative }) => [location, isRelative]),
      [
        [ancestor, true],
        [other, false],
      ],
    );
    t.true((found.candidates[0]?.distance ?? 2) < 0.3);
    t.true(Math.abs((found.candidates[1]?.distance ?? 0) - 2) < 0.3);
    t.is(found.unlike.length, 1);
  }
});

function swapBytes<T extends { readonly bytes: Uint8Array }>(tensor: T, width: number): T {
  const bytes = tensor.bytes.slice();
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
  return { ...tensor, bytes };
}

test("the model itself is passed over, and what cannot be read is named", async (t) => {
  const folder = await createTemporaryFolder(t);
  const files = await Promise.all(
    [1, 2].map(async (seed) => {
      const file = join(folder, `${seed}.safetensors`);
      await writeFile(file, toFullModel(toBase(1), seed, 0.1));
      return file;
    }),
  );
  const broken = join(folder, "broken.safetensors");
  await writeFile(broken, new Uint8Array(40));
  const [own = ""] = files;
  const found = await findBase(own, [...files, broken], { layer: "blocks.1.out" });
  t.deepEqual(
    found.candidates.map(({ location }) => location),
    files.slice(1),
  );
  t.deepEqual(
    found.skipped.map(({ location, error }) => [location, error.reason]),
    [[broken, "HEADER_MALFORMED"]],
  );
});

test("a LoRA is refused, and what its metadata claim is told", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [lora = ""] = await writeSiblings(folder, "loras", 1);
  await t.throwsAsync(findBase(lora, [ancestor]), {
    instanceOf: InvalidInputError,
    message: /is an adapter: .*metadata name none/,
  });
  const { tensors } = await readTensors(lora);
  await writeFile(lora, encodeSafetensors([...tensors.values()], { ss_sd_model_name: "toy-v1" }));
  await t.throwsAsync(findBase(lora, [ancestor]), { message: /claim "toy-v1", which nothing proves/ });
});
