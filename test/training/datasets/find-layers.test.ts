import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { findLayers } from "../../../src/training/datasets/find-layers.js";
import { encodeSafetensors } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

type Shapes = Readonly<Record<string, readonly number[]>>;

async function write(folder: string, files: readonly Shapes[]): Promise<string[]> {
  return Promise.all(
    files.map(async (shapes, index) => {
      const path = join(folder, `${index}.safetensors`);
      const tensors = Object.entries(shapes).map(([name, shape]) => ({
        name,
        dtype: "F32",
        shape,
        bytes: new Uint8Array(4 * shape.reduce((product, extent) => product * extent, 1)),
      }));
      await writeFile(path, encodeSafetensors(tensors));
      return path;
    }),
  );
}

test("dense layers that nearly all models have are found, in the order of their numbers", async (t) => {
  const common = {
    "blocks.10.to_q.weight": [16, 16],
    "blocks.2.to_q.weight": [16, 16],
    "conv.weight": [16, 8, 3, 3],
    "norm.weight": [16],
    "head.weight": [4, 16],
  };
  const rare = { ...common, "own.weight": [16, 16] };
  const paths = await write(await createTemporaryFolder(t), [common, common, common, rare]);
  const found = await findLayers([...paths, "absent.safetensors"], "apply");
  t.deepEqual(
    found.map(({ module, kind, layout }) => [module, kind, layout]),
    [
      ["blocks.2.to_q", "dense", "linear"],
      ["blocks.10.to_q", "dense", "linear"],
      ["conv", "dense", "conv"],
    ],
  );
});

test("of LoRA files the pairs are found", async (t) => {
  const pair = (module: string) => ({ [`${module}.lora.down.weight`]: [2, 16], [`${module}.lora.up.weight`]: [16, 2] });
  const paths = await write(await createTemporaryFolder(t), [{ ...pair("to_q"), ...pair("to_v") }]);
  t.deepEqual(await findLayers(paths, "apply"), [
    { module: "to_q", kind: "lora", layout: "linear", loraScale: "apply" },
    { module: "to_v", kind: "lora", layout: "linear", loraScale: "apply" },
  ]);
});
