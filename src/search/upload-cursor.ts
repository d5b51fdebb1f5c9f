import { InvalidInputError, PreconditionError } from "../errors/probestream-error.js";
import { isResumePoint } from "../projection/segments.js";
import { rangeBytes } from "../projection/stored-matrix.js";
import type { ModelState } from "./embed-messages.js";
import type { PlannedTensor } from "./plan-embedding.js";

/** How far the upload of one tensor's range has come. */
export interface UploadCursor {
  /** Name of the tensor, for messages. */
  readonly name: string;
  /** Offset that the client sends next. */
  next: number;
  /** Where the server's saved state ends: bytes before it are passed over. */
  readonly saved: number;
  /** Bytes of the range. */
  readonly length: number;
}

/**
 * Opens the cursor of a tensor where the header says that the client goes on.
 *
 * @throws PreconditionError `UPLOAD_MISMATCH` if the saved state does not reach as far.
 */
export function toCursor(
  { matrix }: PlannedTensor,
  start: number,
  state: ModelState | undefined,
  index: number,
): UploadCursor {
  const length = rangeBytes(matrix);
  const saved = state?.tensors[index]?.offset ?? 0;
  if (!isResumePoint(start, length) || start > saved) {
    throw new PreconditionError(
      "UPLOAD_MISMATCH",
      `start_offsets[${index}] is ${start}, but the server can go on from ${saved} of ${length} bytes of "${matrix.name}" at most; ask PlanEmbedding again with the upload id`,
      { found: start, allowed: saved },
    );
  }
  return { name: matrix.name, next: start, saved, length };
}

/**
 * The cursor that a chunk moves, after checking that the chunk is the next one.
 *
 * @throws InvalidInputError `FIELD_INVALID`, `TENSOR_OVERRUN` or `OFFSET_MISMATCH` if it is not.
 */
export function toChunkCursor(
  cursors: readonly UploadCursor[],
  tensorIndex: number,
  offset: number,
  byteLength: number,
): UploadCursor {
  const cursor = cursors[tensorIndex];
  if (cursor === undefined) {
    throw new InvalidInputError(
      "FIELD_INVALID",
      `chunk.tensor_index is ${tensorIndex}; the header has ${cursors.length} tensors, counted from 0`,
      { found: tensorIndex, tensors: cursors.length },
    );
  }
  const { name } = cursor;
  if (byteLength === 0)
    throw new InvalidInputError("FIELD_INVALID", `an empty chunk came for tensor "${name}"; send 1 byte or more`);
  if (cursor.next === cursor.length || offset + byteLength > cursor.length) {
    throw new InvalidInputError(
      "TENSOR_OVERRUN",
      `bytes ${offset} to ${offset + byteLength} came for tensor "${name}", whose range has ${cursor.length}`,
      { tensor: name, end: offset + byteLength, length: cursor.length },
    );
  }
  const current = cursors.findIndex(({ next, length }) => next !== length);
  if (tensorIndex !== current) {
    throw new InvalidInputError(
      "OFFSET_MISMATCH",
      `a chunk of tensor ${tensorIndex} came before tensor ${current} was complete; tensors come in the header's order`,
      { found: tensorIndex, expected: current },
    );
  }
  if (offset !== cursor.next) {
    throw new InvalidInputError(
      "OFFSET_MISMATCH",
      `a chunk of tensor "${name}" starts at ${offset}, the previous one ended at ${cursor.next}`,
      { tensor: name, found: offset, expected: cursor.next },
    );
  }
  return cursor;
}

/**
 * Guards a footer: all ranges are complete, and together as long as it says.
 *
 * @throws InvalidInputError `TENSOR_INCOMPLETE`
 */
export function assertComplete(cursors: readonly UploadCursor[], totalBytes: number): void {
  for (const { name, next, length } of cursors) {
    if (next === length) continue;
    throw new InvalidInputError(
      "TENSOR_INCOMPLETE",
      `the footer came after ${next} of ${length} bytes of tensor "${name}"; send the whole range first`,
      { tensor: name, found: next, expected: length },
    );
  }
  const expected = cursors.reduce((sum, { length }) => sum + length, 0);
  if (totalBytes !== expected) {
    throw new InvalidInputError(
      "TENSOR_INCOMPLETE",
      `footer.total_bytes is ${totalBytes}, the ranges have ${expected} bytes together`,
      { found: totalBytes, expected },
    );
  }
}
