import test from "ava";
import { accumulatorBytes, loadingBytes } from "../../src/experts/architecture.js";

test("a ProbeX accumulator keeps Z three times, or V·B and A·U of a LoRA", (t) => {
  const probex = { kind: "probex", probeCount: 128, projectionWidth: 64 } as const;
  t.is(accumulatorBytes(probex, undefined), 3 * 4 * 128 * 64);
  t.is(accumulatorBytes(probex, 8), 3 * 4 * 8 * (128 + 64));
});

test("an expert's loading takes its parameters and most of its largest stage", (t) => {
  const architecture = { kind: "probex", probeCount: 5, projectionWidth: 3 } as const;
  const [u, v, m] = [4 * 7 * 5, 4 * 3 * 11, 4 * 2 * 15];
  const expert = { architecture, layer: { kind: "dense", layout: "linear", shape: { rows: 11, columns: 7 } } } as const;
  const sizes = { representationWidth: 2, parameterBytes: 1000 };
  t.is(loadingBytes({ ...expert, ...sizes }), 1000 + m + v + 3 * u);
  t.is(loadingBytes({ ...expert, ...sizes, layer: { ...expert.layer, layout: "transposed" } }), 1000 + m + 4 * v);
  t.is(loadingBytes({ ...expert, ...sizes, layer: { ...expert.layer, kind: "lora" } }), 1000 + m + 2 * v + 3 * u);
  t.is(loadingBytes({ ...expert, ...sizes, representationWidth: 200 }), 1000 + 4 * 100 * m);
});
