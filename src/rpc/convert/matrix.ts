import type { Matrix } from "../../compute/compute-backend.js";
import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type { FloatMatrix } from "../../gen/probestream/v1/types_pb.js";

/** Float32 numbers as little-endian bytes. */
export function toFloatBytes(values: Float32Array): Uint8Array<ArrayBuffer> {
  const copy = new Float32Array(values);
  return new Uint8Array(copy.buffer);
}

/** Little-endian bytes as float32 numbers. */
export function fromFloatBytes(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Text vectors from the wire. */
export function fromWireTexts({ data, rows, columns }: FloatMatrix, maxRows: number): Matrix {
  if (rows > maxRows) {
    throw new LimitExceededError("LIMIT_EXCEEDED", `${rows} text vectors were sent; ${maxRows} are allowed`, {
      found: rows,
      limit: maxRows,
    });
  }
  if (rows > 0 && columns === 0) {
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `text_vectors has ${rows} rows of 0 columns; a text vector is as wide as the expert's text_width`,
      { rows, columns },
    );
  }
  if (data.byteLength !== rows * columns * 4) {
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `text_vectors.data has ${data.byteLength} bytes; ${rows} × ${columns} float32 numbers take ${rows * columns * 4}`,
      { found: data.byteLength, expected: rows * columns * 4 },
    );
  }
  return { rows, columns, values: fromFloatBytes(data) };
}
