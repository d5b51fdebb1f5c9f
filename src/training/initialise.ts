import type { Random } from "../linalg/random.js";
import { logitScaleName, type ParameterShapes } from "./train-shape.js";

/** CLIP's first temperature is 0.07: https://arxiv.org/abs/2103.00020, section 2.5. */
const firstLogitScale = Math.log(1 / 0.07);

/**
 * First weights as PyTorch's `Linear` draws them: evenly spread between ±1/√fan-in, weight and bias alike, fan-in being
 * the last extent of the weight as it is stored. A learned temperature begins where CLIP's does.
 *
 * @param into one view per parameter, by its name.
 */
export function initialise(shapes: ParameterShapes, into: ReadonlyMap<string, Float32Array>, random: Random): void {
  let fanIn = 1;
  for (const [name, shape] of shapes) {
    // A bias follows its weight, whose fan-in it takes.
    if (shape.length > 1) fanIn = shape.at(-1) ?? 1;
    const limit = 1 / Math.sqrt(fanIn);
    const values = into.get(name) ?? new Float32Array(0);
    if (name === logitScaleName) {
      values.fill(firstLogitScale);
      continue;
    }
    for (let i = 0; i < values.length; i++) values[i] = (2 * random.next() - 1) * limit;
  }
}
