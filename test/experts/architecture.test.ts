import test from "ava";
import { accumulatorBytes } from "../../src/experts/architecture.js";

test("a ProbeX accumulator keeps Z three times, or V·B and A·U of a LoRA", (t) => {
  const probex = { kind: "probex", probeCount: 128, projectionWidth: 64 } as const;
  t.is(accumulatorBytes(probex, undefined), 3 * 4 * 128 * 64);
  t.is(accumulatorBytes(probex, 8), 3 * 4 * 8 * (128 + 64));
});
