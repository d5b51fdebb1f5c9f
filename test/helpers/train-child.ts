import { fitExpert } from "../../src/training/fit-expert.js";
import { defaultTrainSettings } from "../../src/training/train-settings.js";
import { createConceptModels } from "./concept-models.js";

// Run as a program: node train-child.js STATE. Trains, keeps its state there, and prints a line per epoch.

const [, , statePath = ""] = process.argv;
const { shape, data } = createConceptModels("zeroshot");
await fitExpert(shape, data, {
  settings: { ...defaultTrainSettings.zeroshot, epochs: 40, batchSize: 8, evaluateEvery: 3, seed: 5 },
  statePath,
  saveEveryMs: 0,
  onEpoch: ({ epoch }) => console.log(epoch),
});
