import { Random } from "../../src/linalg/random.js";

/** A perceptron with one hidden layer: two matrices, row-major. */
export interface Perceptron {
  /** hidden × inputs. */
  readonly first: Float32Array;
  /** outputs × hidden. */
  readonly second: Float32Array;
}

export const inputs = 16;
export const hidden = 24;
export const outputs = 12;

const batch = 4;

/** Numbers evenly spread with a variance of 1. */
function draw(random: Random, count: number): Float32Array {
  return random.spread(count, 1);
}

function toPerceptron(random: Random): Perceptron {
  return {
    first: random.spread(hidden * inputs, 1 / Math.sqrt(inputs)),
    second: random.spread(outputs * hidden, 1 / Math.sqrt(hidden)),
  };
}

function apply(matrix: Float32Array, x: Float32Array, rows: number): Float32Array {
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let k = 0; k < x.length; k++) sum += (matrix[row * x.length + k] as number) * (x[k] as number);
    return sum;
  });
}

function run({ first, second }: Perceptron, x: Float32Array): { inner: Float32Array; y: Float32Array } {
  const inner = apply(first, x, hidden).map((value) => Math.max(0, value));
  return { inner, y: apply(second, inner, outputs) };
}

/** What a perceptron is trained on: inputs drawn around a middle, and answers with noise. */
interface Task {
  readonly teacher: Perceptron;
  readonly middle: Float32Array;
  readonly width: number;
}

/** Trains all weights by stochastic gradient descent on squared errors, at a rate that falls to 0. */
function train(start: Perceptron, { teacher, middle, width }: Task, steps: number, rate: number, random: Random) {
  const model = { first: start.first.slice(), second: start.second.slice() };
  for (let step = 0; step < steps; step++) {
    const scale = (rate * (1 - step / steps)) / batch;
    for (let example = 0; example < batch; example++) {
      const x = draw(random, inputs).map((value, at) => (middle[at] as number) + width * value);
      const noise = draw(random, outputs);
      const wanted = run(teacher, x).y.map((value, at) => value + 0.5 * (noise[at] as number));
      const { inner, y } = run(model, x);
      const error = y.map((value, at) => value - (wanted[at] as number));
      const back = new Float32Array(hidden);
      for (let row = 0; row < outputs; row++) {
        for (let k = 0; k < hidden; k++) {
          const at = row * hidden + k;
          back[k] = (back[k] as number) + (error[row] as number) * (model.second[at] as number);
          model.second[at] = (model.second[at] as number) - scale * (error[row] as number) * (inner[k] as number);
        }
      }
      for (let row = 0; row < hidden; row++) {
        if ((inner[row] as number) <= 0) continue;
        for (let k = 0; k < inputs; k++) {
          const at = row * inputs + k;
          model.first[at] = (model.first[at] as number) - scale * (back[row] as number) * (x[k] as number);
        }
      }
    }
  }
  return model;
}

/**
 * Grows a family by gradient descent: a base on broad inputs, and below the given parents models that were each fine-tuned
 * on narrow inputs of their own, for steps and at rates of their own.
 *
 * @param parents position of each model's parent, −1 for the base, which is first.
 */
export function growSmallFamily(parents: readonly number[], seed: number): Perceptron[] {
  const random = new Random(seed);
  const teacher = toPerceptron(random);
  const grown: Perceptron[] = [];
  for (const parent of parents) {
    const from = grown[parent];
    if (from === undefined) {
      const broad = { teacher, middle: new Float32Array(inputs), width: 1 };
      grown.push(train(toPerceptron(random), broad, 3000, 0.1, random));
    } else {
      const narrow = { teacher, middle: draw(random, inputs), width: 0.5 };
      grown.push(train(from, narrow, 100 + Math.floor(200 * random.next()), 0.02 + 0.04 * random.next(), random));
    }
  }
  return grown;
}
