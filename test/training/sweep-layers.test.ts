import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { createMemoryLayerSet } from "../../src/training/datasets/layer-set.js";
import { sweepLayers, toSweepSettings } from "../../src/training/sweep-layers.js";
import { defaultTrainSettings } from "../../src/training/train-settings.js";
import { createConceptModels } from "../helpers/concept-models.js";

const settings = { ...defaultTrainSettings.zeroshot, batchSize: 32 };

test("a sweep finds the layer that knows the labels", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const { rows, columns, rank = 0 } = shape.layer;
  const random = new Random(4);
  const inputs = new Map([
    ["down", random.spread(data.layers.count * rank * columns, 1)],
    ["up", random.spread(data.layers.count * rank * rows, 1)],
  ]);
  const noise = { ...data, layers: createMemoryLayerSet(data.layers.count, shape.layer, inputs) };
  const heard: string[] = [];
  const swept = await sweepLayers(
    [
      { module: "noise", shape, data: noise },
      { module: "concepts", shape, data },
    ],
    settings,
    { onLayer: ({ module }) => heard.push(module) },
  );
  t.deepEqual(heard, ["noise", "concepts"]);
  t.deepEqual(
    swept.map(({ module }) => module),
    ["concepts", "noise"],
  );
  const [best] = swept;
  t.is(best?.score, ((best?.val ?? 0) + (best?.valHoldout ?? 0)) / 2);
});

test("a short run is a tenth of a long one, and no longer than a short one", (t) => {
  t.is(toSweepSettings({ ...settings, epochs: 300 }).epochs, 30);
  t.is(toSweepSettings({ ...settings, epochs: 100 }).epochs, 10);
  t.is(toSweepSettings({ ...settings, epochs: 4 }).epochs, 4);
});
