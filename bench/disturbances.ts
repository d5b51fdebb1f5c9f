import { toFloat16Bytes } from "../scripts/demo-zoo/float16.js";
import { dtypeBytes, isDtype } from "../src/linalg/dtype.js";
import { Random } from "../src/linalg/random.js";
import { widen } from "../src/linalg/widen.js";
import type { TensorData } from "../src/weights/safetensors-writer.js";

/** What people do to files: the same model, with other numbers. */
export interface Disturbance {
  readonly title: string;
  apply(tensor: TensorData): TensorData;
}

/** Numbers of a tensor, as float32. */
export function toNumbers({ name, dtype, bytes }: TensorData): Float32Array<ArrayBuffer> {
  if (!isDtype(dtype)) throw new Error(`${name} has the type ${dtype}`);
  const values = new Float32Array(bytes.byteLength / dtypeBytes[dtype]);
  widen(bytes, dtype, values);
  return values;
}

function toTensor(tensor: TensorData, values: Float32Array<ArrayBuffer>): TensorData {
  return { ...tensor, dtype: "F32", bytes: new Uint8Array(values.buffer) };
}

function toBfloat16(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const rounded = Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
  return new Uint8Array(rounded.buffer);
}

/** Rounded to 255 levels up to the largest number, as 8-bit quantisation without blocks does. */
function toEightBits(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest === 0 ? values : values.map((value) => (Math.round((127 * value) / largest) * largest) / 127);
}

/** The tenth of the numbers that are nearest to 0 set to 0. */
function toPruned(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const sorted = values.map(Math.abs).sort();
  const bound = sorted[Math.floor(sorted.length / 10)] ?? 0;
  return values.map((value) => (Math.abs(value) < bound ? 0 : value));
}

/** As it is, and what a tree must bear. */
export const disturbances: readonly Disturbance[] = [
  { title: "as it is", apply: (tensor) => tensor },
  { title: "float16", apply: (tensor) => ({ ...tensor, dtype: "F16", bytes: toFloat16Bytes(toNumbers(tensor)) }) },
  { title: "bfloat16", apply: (tensor) => ({ ...tensor, dtype: "BF16", bytes: toBfloat16(toNumbers(tensor)) }) },
  { title: "8 bits", apply: (tensor) => toTensor(tensor, toEightBits(toNumbers(tensor))) },
  { title: "10 % pruned", apply: (tensor) => toTensor(tensor, toPruned(toNumbers(tensor))) },
];

/** Draws without putting back. */
export function draw<T>(all: readonly T[], count: number, seed: number): T[] {
  return [...new Random(seed).order(all.length)].slice(0, count).flatMap((index) => all[index] ?? []);
}
