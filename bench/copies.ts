import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { toFloat16Bytes } from "../scripts/demo-zoo/float16.js";
import { Random } from "../src/linalg/random.js";
import { widen } from "../src/linalg/widen.js";
import { readTensors } from "../src/weights/safetensors-file.js";
import { encodeSafetensors, type TensorData } from "../src/weights/safetensors-writer.js";
import { disturbances, toNumbers } from "./disturbances.js";

/** What is made of a model's file. */
export interface Copy {
  readonly title: string;
  readonly kind: "dense" | "lora" | "both";
  /** How it should be found; undefined where it is another model, and must not be. */
  readonly expected: "file" | "weights" | "dtype" | "factors" | "near" | undefined;
  /** Tensors of one file, or of each shard. */
  readonly make: (tensors: readonly TensorData[], seed: number) => readonly (readonly TensorData[])[];
}

type Change = (values: Float32Array<ArrayBuffer>, seed: number) => Float32Array<ArrayBuffer>;

function toFloat32(tensor: TensorData, values: Float32Array<ArrayBuffer>): TensorData {
  return { ...tensor, dtype: "F32", bytes: new Uint8Array(values.buffer) };
}

function toFloat16(tensor: TensorData): TensorData {
  return { ...tensor, dtype: "F16", bytes: toFloat16Bytes(toNumbers(tensor)) };
}

/** Every tensor by itself. */
function each(change: (tensor: TensorData, seed: number) => TensorData): Copy["make"] {
  return (tensors, seed) => [tensors.map((tensor, at) => change(tensor, 100 * seed + at))];
}

function numbers(change: Change): Copy["make"] {
  return each((tensor, seed) => toFloat32(tensor, change(toNumbers(tensor), seed)));
}

function disturbed(title: string): Copy["make"] {
  const found = disturbances.find((disturbance) => disturbance.title === title);
  if (found === undefined) throw new Error(`no disturbance ${title}`);
  return each((tensor) => found.apply(tensor));
}

/** Numbers of F8_E4M3 and F8_E5M2 by their bytes. */
function toEightBitFloats(dtype: "F8_E4M3" | "F8_E5M2"): (tensor: TensorData) => TensorData {
  const table = new Float32Array(256);
  widen(
    Uint8Array.from({ length: 256 }, (_, at) => at),
    dtype,
    table,
  );
  const order = [...table.entries()].filter(([at, value]) => Number.isFinite(value) && at !== 0x80);
  const sorted = order.sort(([, a], [, b]) => a - b);
  const round = (value: number): number => {
    let [low, high] = [0, sorted.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.[1] ?? 0) <= value) low = middle;
      else high = middle;
    }
    const [below, above] = [sorted[low], sorted[high]];
    if (below === undefined || above === undefined) throw new Error("an empty table");
    const isAbove =
      above[1] - value < value - below[1] || (above[1] - value === value - below[1] && above[0] % 2 === 0);
    return isAbove ? above[0] : below[0];
  };
  return (tensor) => ({ ...tensor, dtype, bytes: Uint8Array.from(toNumbers(tensor), round) });
}

/** Blocks of 32 numbers, each with a scale to its largest one. */
function inBlocks(levels: number): Change {
  return (values) => {
    const rounded = values.slice();
    for (let begin = 0; begin < values.length; begin += 32) {
      const block = rounded.subarray(begin, begin + 32);
      const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [at, value] of block.entries())
        block[at] = largest === 0 ? 0 : (Math.round((levels * value) / largest) * largest) / levels;
    }
    return rounded;
  };
}

/** The half of the numbers that are nearest to 0 set to 0. */
const halfPruned: Change = (values) => {
  const bound = values.map(Math.abs).sort()[Math.floor(values.length / 2)] ?? 0;
  return values.map((value) => (Math.abs(value) < bound ? 0 : value));
};

/** Another fine-tune, so light that it differs by a share of the length. */
function lightly(share: number): Change {
  return (values, seed) => {
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    const moved = new Random(seed).spread(values.length, share * deviation);
    return values.map((value, at) => value + (moved[at] ?? 0));
  };
}

/** Pairs of factors of the authors' naming, by module. */
function toPairs(tensors: readonly TensorData[]): { module: string; down: TensorData; up: TensorData }[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return tensors.flatMap((down) => {
    const module = down.name.replace(/\.lora\.down\.weight$/, "");
    const up = byName.get(`${module}.lora.up.weight`);
    return module === down.name || up === undefined ? [] : [{ module, down, up }];
  });
}

/** B·G and G⁻¹·A for a rotated, stretched G of rank 2, in float16. */
function refactored(tensors: readonly TensorData[], seed: number): TensorData[] {
  const random = new Random(seed);
  return toPairs(tensors).flatMap(({ down, up }) => {
    const turn = 2 * Math.PI * random.next();
    const stretch = [0.5 + random.next(), 1 + random.next()] as const;
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    // G = R·diag(stretch), G⁻¹ = diag(1/stretch)·Rᵀ.
    const [a, b] = [toNumbers(down), toNumbers(up)];
    const width = a.length / 2;
    const [c, d] = [a.slice(), b.slice()];
    for (let at = 0; at < width; at++) {
      const [x, y] = [a[at] ?? 0, a[width + at] ?? 0];
      c[at] = (cos * x + sin * y) / stretch[0];
      c[width + at] = (cos * y - sin * x) / stretch[1];
    }
    for (let row = 0; row < b.length; row += 2) {
      const [x, y] = [b[row] ?? 0, b[row + 1] ?? 0];
      d[row] = (cos * x + sin * y) * stretch[0];
      d[row + 1] = (cos * y - sin * x) * stretch[1];
    }
    return [toFloat16(toFloat32(down, c)), toFloat16(toFloat32(up, d))];
  });
}

/** An alpha of 8 at rank 2, the factor B a quarter of what it was. */
function withAlpha(tensors: readonly TensorData[], toNames: (module: string) => [string, string]): TensorData[] {
  return toPairs(tensors).flatMap(({ module, down, up }) => {
    const alpha = {
      name: `${module}.alpha`,
      dtype: "F32",
      shape: [],
      bytes: new Uint8Array(Float32Array.of(8).buffer),
    };
    const [a, b] = toNames(module);
    const quarter = toNumbers(up).map((value) => value / 4);
    return [alpha, { ...down, name: a }, { ...toFloat16(toFloat32(up, quarter)), name: b }];
  });
}

/** What people do to files, and fine-tunes that are easily taken for it. */
export const copies: readonly Copy[] = [
  { title: "same file", kind: "both", expected: "file", make: (tensors) => [tensors] },
  { title: "other metadata", kind: "both", expected: "weights", make: (tensors) => [tensors] },
  {
    title: "in two shards",
    kind: "both",
    expected: "weights",
    make: (tensors) => [tensors.slice(0, 1), tensors.slice(1)],
  },
  { title: "float32", kind: "both", expected: "dtype", make: numbers((values) => values) },
  { title: "bfloat16", kind: "both", expected: "dtype", make: disturbed("bfloat16") },
  { title: "F8_E4M3", kind: "dense", expected: "dtype", make: each(toEightBitFloats("F8_E4M3")) },
  { title: "F8_E5M2", kind: "dense", expected: "dtype", make: each(toEightBitFloats("F8_E5M2")) },
  { title: "8 bits, one scale", kind: "both", expected: "near", make: disturbed("8 bits") },
  { title: "8 bits, blocks of 32", kind: "both", expected: "near", make: numbers(inBlocks(127)) },
  { title: "4 bits, blocks of 32", kind: "dense", expected: "near", make: numbers(inBlocks(7)) },
  { title: "10 % pruned", kind: "both", expected: "near", make: disturbed("10 % pruned") },
  { title: "50 % pruned", kind: "dense", expected: "near", make: numbers(halfPruned) },
  {
    title: "B·G, G⁻¹·A",
    kind: "lora",
    expected: "factors",
    make: (tensors, seed) => [refactored(tensors, seed)],
  },
  {
    title: "alpha 8, B a quarter",
    kind: "lora",
    expected: "factors",
    make: (tensors) => [withAlpha(tensors, (name) => [`${name}.lora.down.weight`, `${name}.lora.up.weight`])],
  },
  {
    title: "named as PEFT does, with alpha, B·G, G⁻¹·A",
    kind: "lora",
    expected: "factors",
    make: (tensors, seed) => [
      withAlpha(refactored(tensors, seed), (name) => {
        return [`base_model.model.${name}.lora_A.weight`, `base_model.model.${name}.lora_B.weight`];
      }).map((tensor) => ({ ...tensor, name: tensor.name.replace(/^(?!base_model)/, "base_model.model.") })),
    ],
  },
  { title: "fine-tuned by 0.3 %, float32", kind: "both", expected: undefined, make: numbers(lightly(0.003)) },
  {
    title: "fine-tuned by 0.3 %, float16",
    kind: "both",
    expected: undefined,
    make: each((tensor, seed) => toFloat16(toFloat32(tensor, lightly(0.003)(toNumbers(tensor), seed)))),
  },
  {
    title: "fine-tuned by 0.3 %, then 8 bits",
    kind: "both",
    expected: undefined,
    make: (tensors, seed) => disturbed("8 bits")(numbers(lightly(0.003))(tensors, seed)[0] ?? [], seed),
  },
];

/** Writes a copy: a file, or shards and their index. @returns where it lies. */
export async function writeCopy(copy: Copy, original: string, path: string, seed: number): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  if (copy.expected === "file") {
    await writeFile(path, await readFile(original));
    return path;
  }
  const { tensors } = await readTensors(original);
  const shards = copy.make([...tensors.values()], seed);
  const metadata = { note: `a copy, ${copy.title}` };
  const [only] = shards;
  if (shards.length === 1 && only !== undefined) {
    await writeFile(path, encodeSafetensors(only, metadata));
    return path;
  }
  const map: Record<string, string> = {};
  const base = path.replace(/\.safetensors$/, "");
  for (const [at, shard] of shards.entries()) {
    const file = `${base}-0000${at + 1}-of-0000${shards.length}.safetensors`;
    await writeFile(file, encodeSafetensors(shard, metadata));
    for (const { name } of shard) map[name] = file.slice(file.lastIndexOf("/") + 1);
  }
  await writeFile(`${path}.index.json`, JSON.stringify({ metadata: {}, weight_map: map }));
  return `${path}.index.json`;
}
