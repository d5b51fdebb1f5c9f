import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { createMemoryLayerSet } from "../../src/training/datasets/layer-set.js";
import { fitExpert } from "../../src/training/fit-expert.js";
import { foldFactor, scaleLayers, toStandardFactor } from "../../src/training/standardise.js";
import { defaultTrainSettings } from "../../src/training/train-settings.js";
import { createConceptModels } from "../helpers/concept-models.js";

const settings = { ...defaultTrainSettings.zeroshot, epochs: 3, batchSize: 32, evaluateEvery: 1 };

test("first responses to layers that were scaled have a variance of 1", async (t) => {
  const [rows, columns, probes, count] = [20, 16, 24, 30];
  const random = new Random(2);
  const x = random.spread(count * rows * columns, 0.01);
  const layers = createMemoryLayerSet(count, { rows, columns }, new Map([["X", x]]));
  const shape = {
    objective: "zeroshot",
    layer: layers.layer,
    probes,
    projection: 8,
    representation: 4,
    labels: 2,
  } as const;
  const indices = Array.from({ length: count }, (_, index) => index);
  const factor = await toStandardFactor(shape, layers, indices);
  const scaled = (await scaleLayers(layers, factor).read(indices)).get("X") ?? new Float32Array(0);
  const [u, v] = [
    random.spread(columns * probes, 1 / Math.sqrt(3 * probes)),
    random.spread(rows * 8, 1 / Math.sqrt(3 * rows)),
  ];
  let squares = 0;
  for (let model = 0; model < count; model++) {
    for (let probe = 0; probe < probes; probe++) {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const weight = scaled[(model * rows + row) * columns + column] as number;
          sum += (v[row] as number) * weight * (u[column * probes + probe] as number);
        }
      }
      squares += sum ** 2;
    }
  }
  const variance = squares / (count * probes);
  t.true(variance > 0.5 && variance < 2, `${variance}`);
});

test("an expert of standardised layers does not mind how large they are, and is one for layers as they come", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const standardise = { settings: { ...settings, standardise: true } };
  const own = await fitExpert(shape, data, standardise);
  // A power of two changes no digit.
  const larger = { ...data, layers: scaleLayers(data.layers, 1024) };
  const again = await fitExpert(shape, larger, standardise);
  t.deepEqual(again.reports, own.reports);
  const [parameters, others] = [own, again].map(({ best }) => best.get("val")?.parameters ?? new Map());
  const v = "shared_probe_proj.weight";
  t.deepEqual(
    others?.get(v)?.map((value: number) => value * 1024),
    parameters?.get(v),
  );
  t.deepEqual(others?.get("per_probe_encoders.weight"), parameters?.get("per_probe_encoders.weight"));
});

test("a factor goes into V and nowhere else", (t) => {
  const parameters = new Map([
    ["probes.weight", Float32Array.of(1)],
    ["shared_probe_proj.weight", Float32Array.of(2, 3)],
  ]);
  foldFactor(parameters, 2);
  t.deepEqual([...parameters.values()], [Float32Array.of(1), Float32Array.of(4, 6)]);
});

test("a learned temperature moves, a cosine schedule ends slowly, and patience ends early", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const learned = await fitExpert({ ...shape, temperature: "learned" }, data, { settings });
  const [scale = 0] = learned.best.get("val")?.parameters.get("logit_scale") ?? [];
  t.true(scale > 2 && scale < 3.5 && Math.abs(scale - Math.log(1 / 0.07)) > 1e-4, `${scale}`);
  const cosine = await fitExpert(shape, data, { settings: { ...settings, schedule: "cosine" } });
  const constant = await fitExpert(shape, data, { settings });
  t.is(cosine.reports[0]?.epoch, 0);
  t.notDeepEqual(cosine.reports, constant.reports);
  const patient = await fitExpert(shape, data, { settings: { ...settings, learningRate: 0, epochs: 20, patience: 2 } });
  t.is(patient.reports.length, 3);
});
