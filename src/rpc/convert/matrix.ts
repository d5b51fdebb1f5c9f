import type { Matrix } from "../../compute/compute-backend.js";
import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type { FloatMatrix } from "../../gen/probestream/v1/types_pb.js";
import { fromFloat32Bytes } from "../../weights/safetensors-writer.js";

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
  return { rows, columns, values: fromFloat32Bytes(data) };
}
