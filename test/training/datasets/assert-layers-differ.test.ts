import test from "ava";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { assertLayersDiffer } from "../../../src/training/datasets/assert-layers-differ.js";
import { createMemoryLayerSet, type LayerSet } from "../../../src/training/datasets/layer-set.js";
import { randomValues } from "../../helpers/random.js";

const layer = { rows: 2, columns: 3 };

function createLayers(...seeds: readonly number[]): LayerSet {
  const values = Float32Array.from(seeds.flatMap((seed) => [...randomValues(6, seed)]));
  return createMemoryLayerSet(seeds.length, layer, new Map([["X", values]]));
}

test("layers that are all the same are refused, with the number of them", async (t) => {
  await t.throwsAsync(assertLayersDiffer(createLayers(1, 1, 1), "blocks.0"), {
    instanceOf: InvalidInputError,
    message: /layer "blocks\.0" holds the same numbers in all 3 models/,
  });
});

test("one that differs is enough, and nothing is read behind it", async (t) => {
  await assertLayersDiffer(createLayers(1, 1, 2), "a");
  await assertLayersDiffer(createLayers(1), "a");
  const asked: number[] = [];
  const layers = createLayers(1, 2, 3);
  const read: LayerSet["read"] = (indices) => {
    asked.push(...Array.from(indices));
    return layers.read(indices);
  };
  await assertLayersDiffer({ ...layers, read }, "a");
  t.deepEqual(asked, [0, 1]);
});
