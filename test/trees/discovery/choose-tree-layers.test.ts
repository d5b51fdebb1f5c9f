import test from "ava";
import { InvalidInputError, NotFoundError } from "../../../src/errors/probestream-error.js";
import { chooseTreeLayers } from "../../../src/trees/discovery/choose-tree-layers.js";
import type { TensorInfo } from "../../../src/weights/layer.js";

function toTensors(shapes: Readonly<Record<string, readonly number[]>>, dtype = "F32"): Map<string, TensorInfo> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, { name, dtype, shape }]));
}

const blocks = [...Array(12).keys()];
const dense = toTensors({
  "embed.weight": [5000, 64],
  "head.weight": [64, 5000],
  ...Object.fromEntries(blocks.map((block) => [`blocks.${block}.attn.weight`, [64, 64]])),
  ...Object.fromEntries(blocks.map((block) => [`blocks.${block}.mlp.weight`, [1024, 64]])),
  ...Object.fromEntries(blocks.map((block) => [`blocks.${block}.norm.weight`, [64]])),
});

test("of a dense model the middle one of the matrices that make up most of it is taken", (t) => {
  t.deepEqual(chooseTreeLayers(dense), [
    {
      module: "blocks.6.mlp.weight",
      kind: "dense",
      layout: "linear",
      loraScale: "none",
      shape: { rows: 1024, columns: 64 },
    },
  ]);
});

test("kernels are matrices, tables of whole numbers are none, and huge matrices are left aside", (t) => {
  const mixed = toTensors({ "conv.weight": [16, 8, 3, 3], "huge.weight": [40_000, 4096], narrow: [4, 9999] });
  mixed.set("index", { name: "index", dtype: "I64", shape: [64, 64] });
  const [conv] = chooseTreeLayers(mixed);
  t.deepEqual([conv?.module, conv?.layout, conv?.shape], ["conv.weight", "conv", { rows: 72, columns: 16 }]);
  mixed.delete("conv.weight");
  t.is(chooseTreeLayers(mixed)[0]?.module, "huge.weight");
  mixed.delete("huge.weight");
  t.throws(() => chooseTreeLayers(mixed), { instanceOf: InvalidInputError, message: /no matrix of 8 rows/ });
});

test("of a LoRA up to eight modules are taken, spread over all", (t) => {
  const lora = (count: number) =>
    toTensors(
      Object.fromEntries(
        [...Array(count).keys()].flatMap((module) => [
          [`m.${module}.lora.down.weight`, [2, 8]],
          [`m.${module}.lora.up.weight`, [8, 2]],
        ]),
      ),
    );
  t.is(chooseTreeLayers(lora(3)).length, 3);
  const modules = chooseTreeLayers(lora(40)).map(({ module }) => Number(module.slice(2)));
  t.is(modules.length, 8);
  t.true((modules[0] ?? 40) < 5 && (modules[7] ?? 0) > 32);
});

test("a layer that is named is taken, with or without .weight, and a missing one is named with its like", (t) => {
  for (const name of ["blocks.2.attn", "blocks.2.attn.weight"]) {
    t.is(chooseTreeLayers(dense, name)[0]?.module, "blocks.2.attn.weight");
  }
  t.throws(() => chooseTreeLayers(dense, "blocks.2.atn.weight"), {
    instanceOf: NotFoundError,
    message: /blocks\.2\.attn\.weight/,
  });
});
