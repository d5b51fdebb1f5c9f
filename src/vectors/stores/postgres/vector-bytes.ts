/** Lengths between which pgvector's float32 sums of squares neither overflow nor vanish. */
const [leastLength, mostLength] = [1e-15, 1e15];

/**
 * A vector whose cosines pgvector computes as they are: the vector itself, or, where it is so long or so short that the
 * sums of float32 squares would leave their range, one of length 1 in its direction.
 */
export function toComparable(vector: Float32Array): Float32Array {
  let most = 0;
  for (const value of vector) most = Math.max(most, Math.abs(value));
  let square = 0;
  for (const value of vector) square += (value / most) ** 2;
  const length = most * Math.sqrt(square);
  if (length >= leastLength && length <= mostLength) return vector;
  return vector.map((value) => value / length);
}

/** A vector in pgvector's binary format: its width, two bytes of nothing, and its numbers as big-endian float32. */
export function toVectorBytes(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(4 + 4 * vector.length);
  writeVector(vector, bytes, 0);
  return bytes;
}

/**
 * Vectors as one value of the type `vector[]`, in the binary format of PostgreSQL's arrays (`array_send` in its source).
 *
 * @param typeId the object id of the type `vector` in this database.
 */
export function toVectorArrayBytes(vectors: readonly Float32Array[], typeId: number): Buffer {
  const bytes = Buffer.alloc(vectors.reduce((sum, { length }) => sum + 8 + 4 * length, 20));
  // Dimensions, whether there are NULLs, type of the elements, count, number of the first.
  for (const [i, value] of [1, 0, typeId, vectors.length, 1].entries()) bytes.writeUInt32BE(value, 4 * i);
  let at = 20;
  for (const vector of vectors) {
    at = bytes.writeUInt32BE(4 + 4 * vector.length, at);
    at = writeVector(vector, bytes, at);
  }
  return bytes;
}

/** Reads what {@link toVectorBytes} writes, which is also what `vector_send` gives. */
export function fromVectorBytes(bytes: Buffer): Float32Array {
  return Float32Array.from({ length: bytes.readUInt16BE(0) }, (_, i) => bytes.readFloatBE(4 + 4 * i));
}

function writeVector(vector: Float32Array, bytes: Buffer, start: number): number {
  let at = bytes.writeUInt16BE(vector.length, start);
  at = bytes.writeUInt16BE(0, at);
  for (const value of vector) at = bytes.writeFloatBE(value, at);
  return at;
}
