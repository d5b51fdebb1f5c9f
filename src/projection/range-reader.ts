import { createHash, type Hash } from "node:crypto";
import type { RowBlock } from "../compute/compute-backend.js";
import { InternalError } from "../errors/probestream-error.js";
import { groupEnd } from "./row-groups.js";
import { segmentEnd } from "./segments.js";
import { rangeBytes, rowBytes, type StoredMatrix } from "./stored-matrix.js";

/** Bytes of one SHA-256 digest. */
export const digestBytes = 32;

/** Where the time of a reader went, in milliseconds. */
export interface ReaderTimes {
  digestMs: number;
  projectMs: number;
}

/** Makes row blocks of a tensor's bytes, whatever way they were cut, and digests its segments on the way. */
export interface RangeReader {
  /** Bytes taken in so far. */
  readonly offset: number;
  /** Bytes of the whole range. */
  readonly length: number;
  /** Rows handed on so far by this reader, partly received ones counted at each part. */
  readonly rowsRead: number;
  /** SHA-256 digests of the complete segments, concatenated. */
  readonly segmentDigests: Uint8Array;
  /**
   * Takes in the next bytes. They are read before the promise settles and not kept, but for less than one row group.
   * `onSegment` is called after the sums hold exactly the bytes of a complete segment and all before it.
   */
  accept(bytes: Uint8Array, onSegment: () => Promise<void>): Promise<void>;
}

/**
 * Creates a reader for one tensor's range.
 *
 * Memory: at most one row group ({@link groupEnd}).
 *
 * @param onBlock gets rows in ascending order; where a segment's end cuts a row, the row comes twice, each time with
 * zeros in place of the other part, which leaves a sum linear in the rows unchanged.
 * @param start where an earlier upload left off: a segment's end, with the digests of the segments before.
 */
export function createRangeReader(
  matrix: StoredMatrix,
  onBlock: (block: RowBlock) => Promise<void>,
  times: ReaderTimes,
  start: { readonly offset: number; readonly segmentDigests: Uint8Array } = emptyStart,
): RangeReader {
  const length = rangeBytes(matrix);
  const bytesPerRow = rowBytes(matrix);
  const digests: Uint8Array[] = [start.segmentDigests];
  let hash: Hash | undefined;
  let offset = start.offset;
  let rowsRead = 0;
  let staged = new Uint8Array(0);
  let stagedBytes = 0;

  /** Takes in bytes up to a group's end at most. */
  const take = async (bytes: Uint8Array, end: number): Promise<void> => {
    const begin = offset - stagedBytes;
    if (offset + bytes.byteLength < end || stagedBytes > 0) {
      if (staged.byteLength < end - begin) staged = grown(staged, stagedBytes, end - begin);
      staged.set(bytes, stagedBytes);
      stagedBytes += bytes.byteLength;
      offset += bytes.byteLength;
      if (offset < end) return;
      stagedBytes = 0;
      await project(staged.subarray(0, end - begin), begin);
    } else {
      offset = end;
      await project(bytes, begin);
    }
  };

  /** Hands on the bytes from `begin` of the range: whole rows, or a part of one row at either end. */
  const project = async (bytes: Uint8Array, begin: number): Promise<void> => {
    const started = performance.now();
    const rowBegin = Math.floor(begin / bytesPerRow);
    const rowCount = Math.ceil((begin + bytes.byteLength) / bytesPerRow) - rowBegin;
    let rows = bytes;
    if (rowCount * bytesPerRow !== bytes.byteLength) {
      rows = new Uint8Array(rowCount * bytesPerRow);
      rows.set(bytes, begin - rowBegin * bytesPerRow);
    }
    rowsRead += rowCount;
    await onBlock({ bytes: rows, dtype: matrix.dtype, rowBegin, rowCount, columnCount: matrix.columnCount });
    times.projectMs += performance.now() - started;
  };

  const digest = (bytes: Uint8Array): void => {
    const started = performance.now();
    hash ??= createHash("sha256");
    hash.update(bytes);
    times.digestMs += performance.now() - started;
  };

  return {
    get offset() {
      return offset;
    },
    length,
    get rowsRead() {
      return rowsRead;
    },
    get segmentDigests() {
      return Buffer.concat(digests);
    },
    accept: async (bytes, onSegment) => {
      if (bytes.byteLength > length - offset) {
        throw new InternalError("INTERNAL", `${bytes.byteLength} bytes do not fit behind ${offset} of ${length}`);
      }
      let rest = bytes;
      while (rest.byteLength > 0) {
        const boundary = segmentEnd(offset, length);
        const end = groupEnd(offset, length, bytesPerRow);
        const run = rest.subarray(0, Math.min(rest.byteLength, end - offset));
        rest = rest.subarray(run.byteLength);
        digest(run);
        await take(run, end);
        if (offset === boundary && hash !== undefined) {
          digests.push(hash.digest());
          hash = undefined;
          await onSegment();
        }
      }
    },
  };
}

const emptyStart = { offset: 0, segmentDigests: new Uint8Array(0) };

function grown(buffer: Uint8Array, used: number, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(buffer.subarray(0, used));
  return larger;
}
