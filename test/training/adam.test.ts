import test from "ava";
import { openAdam } from "../../src/training/adam.js";
import { createParameterMemory } from "../../src/training/parameter-memory.js";
import { randomValues } from "../helpers/random.js";

for (const weightDecay of [0, 1e-2]) {
  test(`the kernel moves parameters as Adam does in float64, weight decay ${weightDecay}`, async (t) => {
    const [rate, beta1, beta2, epsilon] = [2e-3, 0.9, 0.999, 1e-8];
    // 7 and 5 numbers: neither fills whole vectors.
    const { memory, regions, parameters, gradients } = createParameterMemory(
      new Map([
        ["a", [7]],
        ["b", [5]],
      ]),
    );
    const adam = await openAdam(memory);
    const exact = [...parameters].map(([name, values], index) => {
      values.set(randomValues(values.length, index));
      const zeros = (): Float64Array => new Float64Array(values.length);
      return { name, p: Float64Array.from(values), m: zeros(), v: zeros() };
    });
    for (let step = 1; step <= 50; step++) {
      for (const { name, p, m, v } of exact) {
        const gradient = randomValues(p.length, 100 * step, 10 ** (-step % 5));
        gradients.get(name)?.set(gradient);
        for (let i = 0; i < p.length; i++) {
          const g = (gradient[i] as number) + weightDecay * (p[i] as number);
          m[i] = beta1 * (m[i] as number) + (1 - beta1) * g;
          v[i] = beta2 * (v[i] as number) + (1 - beta2) * g * g;
          const spread = Math.sqrt((v[i] as number) / (1 - beta2 ** step)) + epsilon;
          p[i] = (p[i] as number) - (rate * (m[i] as number)) / (1 - beta1 ** step) / spread;
        }
      }
      adam(regions, step, { learningRate: rate, weightDecay });
    }
    for (const { name, p } of exact) {
      for (const [i, value] of (parameters.get(name) ?? []).entries()) {
        t.true(Math.abs(value - (p[i] as number)) < 2e-6, `${name}[${i}]: ${value} beside ${p[i]}`);
      }
    }
  });
}
