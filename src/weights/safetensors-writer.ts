import { InvalidInputError } from "../errors/probestream-error.js";
import { bitsOf, countElements } from "./dtype-bits.js";
import type { TensorInfo } from "./layer.js";
import { quoteName } from "./quote-name.js";
import { MAX_HEADER_BYTES } from "./safetensors-limits.js";

/** A tensor with its bytes: row-major, little-endian. */
export interface TensorData extends TensorInfo {
  readonly bytes: Uint8Array;
}

/** Free text about a file, by key. */
export type SafetensorsMetadata = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

/** The first tensor starts on a multiple of 8, which every element type is aligned to. */
const ALIGNMENT_BYTES = 8;

/**
 * Writes a safetensors file in memory. The same tensors and metadata give the same bytes in whatever order they come:
 * tensors by element size (largest first, so that all are aligned), then by name; metadata by key.
 *
 * Memory: the file, besides the tensors.
 *
 * @throws InvalidInputError `DUPLICATE` for a name that stands twice, `SHAPE_MISMATCH` for bytes that are not as many
 * as type and shape ask for, `DTYPE_UNSUPPORTED` for a type unknown to the format, `FIELD_INVALID` for a name or text
 * that cannot be stored.
 */
export function encodeSafetensors(
  tensors: readonly TensorData[],
  metadata: SafetensorsMetadata = new Map(),
): Uint8Array {
  const pieces = toSafetensorsPieces(tensors, metadata);
  const file = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    file.set(piece, at);
    at += piece.length;
  }
  return file;
}

/**
 * What {@link encodeSafetensors} puts one after another: the header, then the bytes of each tensor, not copied.
 *
 * @throws as {@link encodeSafetensors}.
 */
export function toSafetensorsPieces(
  tensors: readonly TensorData[],
  metadata: SafetensorsMetadata = new Map(),
): readonly Uint8Array[] {
  const sorted = [...tensors].sort(
    (a, b) => (bitsOf(b.dtype) ?? 0) - (bitsOf(a.dtype) ?? 0) || compareText(a.name, b.name),
  );
  return [encodeHeader(sorted, metadata), ...sorted.map(({ bytes }) => bytes)];
}

/** Numbers as the bytes of an F32 tensor: little-endian, which the machine must be too. A copy. */
export function float32Bytes(values: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Float32Array(values).buffer);
}

/** The numbers of an F32 tensor. A copy. */
export function fromFloat32Bytes(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function encodeHeader(tensors: readonly TensorData[], metadata: SafetensorsMetadata): Uint8Array {
  const members: string[] = [];
  const pairs = metadata instanceof Map ? [...metadata] : Object.entries(metadata);
  if (pairs.length > 0) {
    const texts = pairs
      .sort(([a], [b]) => compareText(a, b))
      .map(([key, value]) => `${encodeText(key)}:${encodeText(value)}`);
    members.push(`"__metadata__":{${texts.join(",")}}`);
  }
  const names = new Set<string>();
  let at = 0;
  for (const tensor of tensors) {
    assertTensor(tensor, names);
    names.add(tensor.name);
    const end = at + tensor.bytes.length;
    members.push(
      `${encodeText(tensor.name)}:{"dtype":"${tensor.dtype}","shape":[${tensor.shape.join(",")}],"data_offsets":[${at},${end}]}`,
    );
    at = end;
  }
  const text = new TextEncoder().encode(`{${members.join(",")}}`);
  const length = Math.ceil(text.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  if (length > MAX_HEADER_BYTES) {
    throw new InvalidInputError(
      "FIELD_INVALID",
      `The header would have ${length} bytes; at most ${MAX_HEADER_BYTES} can be read back.`,
      { headerBytes: length, maxHeaderBytes: MAX_HEADER_BYTES },
    );
  }
  const header = new Uint8Array(ALIGNMENT_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, ALIGNMENT_BYTES);
  return header;
}

function assertTensor(tensor: TensorData, names: ReadonlySet<string>): void {
  const subject = `Tensor ${quoteName(tensor.name)}`;
  const facts = { tensor: tensor.name };
  if (tensor.name === "__metadata__") {
    throw new InvalidInputError("FIELD_INVALID", "A tensor cannot be called __metadata__; rename it.", facts);
  }
  if (names.has(tensor.name)) throw new InvalidInputError("DUPLICATE", `${subject} is given twice; rename one.`, facts);
  const bits = bitsOf(tensor.dtype);
  if (bits === undefined) {
    const message = `${subject} has the type ${quoteName(tensor.dtype)}, which safetensors does not have.`;
    throw new InvalidInputError("DTYPE_UNSUPPORTED", message, { ...facts, dtype: tensor.dtype });
  }
  const count = countElements(tensor.shape);
  if (count === undefined || (count * bits) / 8 !== tensor.bytes.length) {
    const message = `${subject} has ${tensor.bytes.length} bytes, which ${tensor.dtype} of shape [${tensor.shape}] does not take.`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { ...facts, byteCount: tensor.bytes.length });
  }
}

function encodeText(text: string): string {
  if (/\p{Cs}/u.test(text)) {
    throw new InvalidInputError("FIELD_INVALID", `${quoteName(text)} is not well-formed Unicode; it cannot be stored.`);
  }
  return JSON.stringify(text);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
