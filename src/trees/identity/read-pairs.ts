import { type Dtype, dtypeBytes, isDtype } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import { bitsOf, countElements } from "../../weights/dtype-bits.js";
import type { TensorInfo } from "../../weights/layer.js";
import type { ModelFile } from "../../weights/model-file.js";
import { readRange } from "../../weights/read-range.js";

/** A tensor that can be read as numbers. */
export type NumberTensor = TensorInfo & { readonly dtype: Dtype };

/** Numbers of the same places of two tensors. */
export interface NumberPair {
  readonly a: Float32Array;
  readonly b: Float32Array;
  /** Place of the first one. */
  readonly begin: number;
}

/** Numbers of a block that are aimed at: 512 KiB as float32. */
const aimedNumbers = 2 ** 17;

/** Whether numbers of a tensor can be read. */
export function isNumberTensor(tensor: TensorInfo | undefined): tensor is NumberTensor {
  return tensor !== undefined && isDtype(tensor.dtype);
}

/** Numbers of a tensor. */
export function toNumberCount({ shape }: TensorInfo): number {
  return countElements(shape) ?? 0;
}

/** Numbers in a row: of the last extents behind the first one. */
export function toRowLength(tensor: TensorInfo): number {
  return tensor.shape.length < 2 ? toNumberCount(tensor) : tensor.shape.slice(1).reduce((a, b) => a * b, 1);
}

/**
 * Reads two tensors of equally many numbers side by side, as float32.
 *
 * Memory: blocks of whole rows that are multiples of `unit` numbers: of some 2^17 numbers of each, or more where a row is
 * longer.
 *
 * @param unit blocks begin at multiples of so many numbers, besides beginning with a row.
 */
export async function* readPairs(
  [a, b]: readonly [ModelFile, ModelFile],
  [first, second]: readonly [NumberTensor, NumberTensor],
  { unit = 1, signal }: { readonly unit?: number; readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<NumberPair, void, undefined> {
  const count = toNumberCount(first);
  const row = Math.max(1, toRowLength(first));
  const least = (row / toCommonDivisor(row, unit)) * unit;
  const block = least * Math.max(1, Math.floor(aimedNumbers / least));
  for (let begin = 0; begin < count; begin += block) {
    const end = Math.min(count, begin + block);
    yield {
      a: await readNumbers(a, first, begin, end, signal),
      b: await readNumbers(b, second, begin, end, signal),
      begin,
    };
  }
}

/** Numbers `begin` to `end` of a tensor, as float32. */
export async function readNumbers(
  model: ModelFile,
  { name, dtype }: NumberTensor,
  begin: number,
  end: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const bytes = await readRange(model, name, begin * dtypeBytes[dtype], end * dtypeBytes[dtype], signal);
  const numbers = new Float32Array(end - begin);
  widen(bytes, dtype, numbers);
  return numbers;
}

/** Whether two tensors that are no numbers here have the same type, shape and bytes. */
export async function haveEqualBytes(
  [a, b]: readonly [ModelFile, ModelFile],
  [first, second]: readonly [TensorInfo, TensorInfo],
  signal?: AbortSignal,
): Promise<boolean> {
  const bits = bitsOf(first.dtype);
  if (first.dtype !== second.dtype || bits === undefined) return false;
  const length = (toNumberCount(first) * bits) / 8;
  for (let begin = 0; begin < length; begin += 4 * aimedNumbers) {
    const end = Math.min(length, begin + 4 * aimedNumbers);
    const one = await readRange(a, first.name, begin, end, signal);
    const other = await readRange(b, second.name, begin, end, signal);
    if (Buffer.compare(one, other) !== 0) return false;
  }
  return true;
}

function toCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : toCommonDivisor(b, a % b);
}
