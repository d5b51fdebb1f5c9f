import { fileURLToPath } from "node:url";
import { widen } from "../../src/linalg/widen.js";
import type { TrainShape } from "../../src/training/train-shape.js";
import type { Batch } from "../../src/training/train-step.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import type { TensorData } from "../../src/weights/safetensors-writer.js";

/** Training steps of the authors' modules in float64, as they were recorded. */
export interface GoldenTraining {
  readonly shape: TrainShape;
  readonly texts: Float32Array | undefined;
  readonly batches: readonly Batch[];
  /** By the parameter's name. */
  readonly start: ReadonlyMap<string, Float32Array>;
  /** Gradients of the first step, by the parameter's name. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** One per batch, before its update. */
  readonly losses: readonly number[];
}

/** Compiled tests lie in dist/test, the files do not. */
const folder = new URL("../../../test/fixtures/golden/", import.meta.url);

/** Reads `train_classification` or `train_zeroshot_lora`; the latter has the layers of its batches in it. */
export async function readGoldenTraining(file: string | URL): Promise<GoldenTraining> {
  const { tensors } = await readTensors(fileURLToPath(new URL(file, folder)));
  const take = (name: string): TensorData => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`there is no tensor ${name}`);
    return tensor;
  };
  const prefixed = (prefix: string): Map<string, Float32Array> =>
    new Map(
      [...tensors.values()]
        .filter(({ name }) => name.startsWith(prefix))
        .map((tensor) => [tensor.name.slice(prefix.length), toFloats(tensor)]),
    );
  const losses = [...new Float64Array(toBuffer(take("losses")))];
  const [columns = 0, probes = 0] = take("start.probes.weight").shape;
  const [projection = 0, rows = 0] = take("start.shared_probe_proj.weight").shape;
  const [representation = 0] = take("start.per_probe_encoders.weight").shape;
  const sizes = { probes, projection, representation };
  const recorded = { start: prefixed("start."), gradients: prefixed("gradient."), losses };
  if (tensors.has("x")) {
    const [, labels = 0] = take("labels").shape;
    const x = toFloats(take("x"));
    const truths = take("labels").bytes;
    const orders = new Int32Array(toBuffer(take("batches")));
    const size = orders.length / losses.length;
    const batches = losses.map((_, step) => {
      const picked = [...orders.subarray(step * size, (step + 1) * size)];
      const layer = rows * columns;
      return {
        size,
        layers: new Map([["X", concat(picked.map((index) => x.subarray(index * layer, (index + 1) * layer)))]]),
        targets: concat(
          picked.map((index) => Float32Array.from(truths.subarray(index * labels, (index + 1) * labels))),
        ),
      };
    });
    const shape: TrainShape = { objective: "classification", layer: { rows, columns }, ...sizes, labels };
    return { shape, texts: undefined, batches, ...recorded };
  }
  const [, size = 0, rank = 0] = take("down").shape;
  const [labels = 0, textWidth = 0] = take("texts").shape;
  const [down, up] = [toFloats(take("down")), toFloats(take("up"))];
  const truths = new Int32Array(toBuffer(take("labels")));
  const batches = losses.map((_, step) => {
    const targets = new Float32Array(size * labels);
    for (let i = 0; i < size; i++) targets[i * labels + (truths[step * size + i] ?? 0)] = 1;
    const width = size * rank;
    return {
      size,
      layers: new Map([
        ["down", down.slice(step * width * columns, (step + 1) * width * columns)],
        ["up", turnOver(up.subarray(step * width * rows, (step + 1) * width * rows), size, rows, rank)],
      ]),
      targets,
    };
  });
  const layer = { rows, columns, rank };
  const shape: TrainShape = { objective: "zeroshot", layer, ...sizes, labels, textWidth };
  return { shape, texts: toFloats(take("texts")), batches, ...recorded };
}

/** Each of `count` matrices of rows × columns turned over. */
function turnOver(values: Float32Array, count: number, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let i = 0; i < count; i++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        turned[(i * columns + column) * rows + row] = values[(i * rows + row) * columns + column] ?? 0;
      }
    }
  }
  return turned;
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function toFloats({ dtype, shape, bytes }: TensorData): Float32Array {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  widen(bytes, dtype as "F32" | "F16", values);
  return values;
}

function toBuffer({ bytes }: TensorData): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
