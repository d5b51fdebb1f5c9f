import test from "ava";
import { openTrainer } from "../../src/training/train-step.js";
import { readGoldenTraining } from "../helpers/golden-training.js";
import { relativeError } from "../helpers/oracle.js";

const settings = {
  train_zeroshot_lora: { learningRate: 2e-3 },
  train_classification: { learningRate: 1e-3, weightDecay: 1e-5 },
} as const;

for (const name of ["train_zeroshot_lora", "train_classification"] as const) {
  test(`${name}: first gradients and losses are those of the authors' modules`, async (t) => {
    const golden = await readGoldenTraining(`${name}.safetensors`);
    const trainer = await openTrainer(golden.shape, golden.texts && { texts: golden.texts });
    t.teardown(() => trainer.dispose());
    for (const [parameter, values] of golden.start) trainer.memory.parameters.get(parameter)?.set(values);
    t.deepEqual([...golden.gradients.keys()].sort(), [...trainer.memory.gradients.keys()].sort());
    for (const [step, batch] of golden.batches.entries()) {
      const loss = await trainer.gradients(batch);
      const recorded = golden.losses[step] ?? Number.NaN;
      t.true(Math.abs(loss - recorded) <= 1e-4 * Math.abs(recorded), `step ${step}: ${loss} beside ${recorded}`);
      if (step === 0) {
        for (const [parameter, gradient] of golden.gradients) {
          const error = relativeError(trainer.memory.gradients.get(parameter) ?? new Float32Array(0), gradient);
          t.true(error <= 1e-4, `${parameter}: ${error}`);
          t.log(`${parameter}: ${error.toExponential(1)}`);
        }
      }
      if (step === golden.batches.length - 1) t.log(`loss ${step}: ${Math.abs(loss / recorded - 1).toExponential(1)}`);
      trainer.move(settings[name]);
    }
  });
}
