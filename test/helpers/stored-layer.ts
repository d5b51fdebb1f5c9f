import { createHash } from "node:crypto";
import type { Dtype } from "../../src/linalg/dtype.js";
import type { Accumulator, LayerMatrices, StatePart } from "../../src/projection/accumulator.js";
import { createRangeReader, type RangeReader } from "../../src/projection/range-reader.js";
import { segmentBytes } from "../../src/projection/segments.js";
import { sliceColumns } from "../../src/projection/slice-columns.js";
import type { StoredMatrix } from "../../src/projection/stored-matrix.js";
import type { TensorRole } from "../../src/weights/layer.js";

/** A streamed range as a matrix, whole unless said otherwise. */
export function storedMatrix(
  rowCount: number,
  columnCount: number,
  dtype: Dtype,
  rest: Partial<StoredMatrix> = {},
): StoredMatrix {
  return {
    name: "m.weight",
    dtype,
    firstRow: 0,
    rowCount,
    columnCount,
    columns: { begin: 0, end: columnCount },
    ...rest,
  };
}

/** One tensor of a layer with the bytes of its range. */
export interface StoredTensor {
  readonly role: TensorRole;
  readonly matrix: StoredMatrix;
  readonly bytes: Uint8Array;
}

/** The tensors by role, as an accumulator is opened with them. */
export function toLayerMatrices(tensors: readonly StoredTensor[]): LayerMatrices {
  return Object.fromEntries(tensors.map(({ role, matrix }) => [role, matrix]));
}

/** Bytes in pieces of one length. */
export function* cut(bytes: Uint8Array, chunkBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** A reader that feeds one tensor to an accumulator. */
export function createTensorReader(
  accumulator: Accumulator,
  { role, matrix }: Omit<StoredTensor, "bytes">,
  start?: { readonly offset: number; readonly segmentDigests: Uint8Array },
): RangeReader {
  return createRangeReader(
    matrix,
    (block) => accumulator.add(role, sliceColumns(block, matrix.columns)),
    { digestMs: 0, projectMs: 0 },
    start,
  );
}

/** Streams tensors into an accumulator, one after another. */
export async function streamLayer(
  accumulator: Accumulator,
  tensors: readonly StoredTensor[],
  chunkBytes: number,
): Promise<void> {
  for (const tensor of tensors) {
    const reader = createTensorReader(accumulator, tensor);
    for (const chunk of cut(tensor.bytes, chunkBytes)) await reader.accept(chunk, async () => {});
  }
}

/** SHA-256 of each segment, one after another, by hashing the whole range. */
export function segmentDigestsOf(bytes: Uint8Array): Buffer {
  return Buffer.concat([...cut(bytes, segmentBytes)].map((segment) => createHash("sha256").update(segment).digest()));
}

/** SHA-256 over the digests of all segments of all ranges: what a footer says. */
export function digestOf(ranges: readonly Uint8Array[]): Buffer {
  return createHash("sha256")
    .update(Buffer.concat(ranges.map(segmentDigestsOf)))
    .digest();
}

/** A state's numbers as bits, for comparisons that 0 and -0 do not pass. */
export function toBits(parts: readonly StatePart[]): readonly (readonly [string, Uint32Array])[] {
  return parts.map(({ name, values }) => [name, new Uint32Array(values.slice().buffer)]);
}
