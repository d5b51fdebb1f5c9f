import { groupEnd, targetGroupBytes } from "../projection/row-groups.js";
import { rangeBytes, rowBytes, type StoredMatrix } from "../projection/stored-matrix.js";
import type { BlockOperation } from "./embed-messages.js";

/** Bytes of a block: one row group. What is in blocks is lost when the process dies, so they are no larger than pays. */
export const blockBytes = targetGroupBytes;

/**
 * Blocks of one stream: one is filled while another is projected, and two are on their way, for on few cores the event loop
 * and the worker take turns with the client.
 */
export const blocksPerStream = 4;

/** Operations after which a block is sent though it is not full: some 30 small models, enough to share one pass over M. */
const maxOperations = 128;

/** Bytes start on a multiple of this inside a block, so that a worker can read every element type in place. */
const alignment = 8;

/** Packs bytes and operations into blocks; small models share one, large layers fill many. */
export interface BlockWriter {
  /** Adds an operation other than bytes. */
  push(operation: Exclude<BlockOperation, { readonly op: "bytes" }>): Promise<void>;
  /** Copies bytes that start at `offset` of a tensor's range. Waits while all blocks are on their way: backpressure. */
  write(tensor: number, matrix: StoredMatrix, offset: number, bytes: Uint8Array): Promise<void>;
  /** Sends what is there. */
  flush(): void;
  /** Sends what is there and waits until all blocks are back, or until none will come any more. */
  drain(): Promise<void>;
  /** Takes a block back. */
  giveBack(buffer: ArrayBuffer): void;
  /** Milliseconds spent waiting for a block. */
  readonly waitMs: number;
  /** Lets a waiting `write` fail with this error. */
  fail(error: Error): void;
}

interface Piece {
  readonly op: "bytes";
  readonly tensor: number;
  readonly at: number;
  length: number;
  /** Offset in the range where the piece must end. */
  readonly end: number;
}

/** Creates a writer that sends full blocks through `send`. */
export function createBlockWriter(
  send: (buffer: ArrayBuffer, operations: readonly BlockOperation[]) => void,
): BlockWriter {
  const free: ArrayBuffer[] = [];
  let allocated = 0;
  let block:
    | { readonly bytes: Uint8Array<ArrayBuffer>; used: number; readonly operations: BlockOperation[] }
    | undefined;
  let piece: Piece | undefined;
  // Several may wait: a stream that is taken over adds its last word beside a `write`.
  const waiting: (() => void)[] = [];
  let failure: Error | undefined;
  let waitMs = 0;

  const nextBlock = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
    });
  const wake = (): void => {
    for (const resolve of waiting.splice(0)) resolve();
  };

  const flush = (): void => {
    if (block === undefined || block.operations.length === 0) return;
    const { bytes, operations } = block;
    block = undefined;
    piece = undefined;
    send(
      bytes.buffer,
      operations.map((operation) =>
        operation.op === "bytes"
          ? { op: "bytes", tensor: operation.tensor, at: operation.at, length: operation.length }
          : operation,
      ),
    );
  };

  const ready = async (): Promise<NonNullable<typeof block>> => {
    for (;;) {
      if (block !== undefined) return block;
      if (free.length === 0 && allocated < blocksPerStream) {
        allocated++;
        free.push(new ArrayBuffer(blockBytes));
      }
      const buffer = free.pop();
      if (buffer !== undefined) {
        block = { bytes: new Uint8Array(buffer), used: 0, operations: [] };
        return block;
      }
      if (failure !== undefined) throw failure;
      const started = performance.now();
      await nextBlock();
      waitMs += performance.now() - started;
    }
  };

  /** Opens a piece that ends with a row group where one fits, so that the worker finds whole groups in place. */
  const openPiece = async (tensor: number, matrix: StoredMatrix, offset: number): Promise<Piece> => {
    for (;;) {
      const { used, operations } = await ready();
      const at = Math.ceil(used / alignment) * alignment;
      const end = lastCut(offset, blockBytes - at, matrix);
      if (end > offset) {
        const opened: Piece = { op: "bytes", tensor, at, length: 0, end };
        operations.push(opened);
        return opened;
      }
      if (used === 0) {
        const opened: Piece = {
          op: "bytes",
          tensor,
          at: 0,
          length: 0,
          end: Math.min(offset + blockBytes, rangeBytes(matrix)),
        };
        operations.push(opened);
        return opened;
      }
      flush();
    }
  };

  return {
    push: async (operation) => {
      const { operations } = await ready();
      piece = undefined;
      operations.push(operation);
      if (operations.length >= maxOperations) flush();
    },
    write: async (tensor, matrix, offset, bytes) => {
      let done = 0;
      while (done < bytes.byteLength) {
        const open = piece?.tensor === tensor ? piece : await openPiece(tensor, matrix, offset + done);
        piece = open;
        const target = await ready();
        const count = Math.min(bytes.byteLength - done, open.end - (offset + done));
        target.bytes.set(bytes.subarray(done, done + count), open.at + open.length);
        open.length += count;
        target.used = open.at + open.length;
        done += count;
        if (offset + done === open.end) {
          piece = undefined;
          if (target.used + alignment > blockBytes || piecesLeftOut(matrix, offset + done, target.used)) flush();
        }
      }
    },
    flush,
    drain: async () => {
      flush();
      while (free.length < allocated && failure === undefined) await nextBlock();
    },
    giveBack: (buffer) => {
      free.push(buffer);
      wake();
    },
    get waitMs() {
      return waitMs;
    },
    fail: (error) => {
      failure = error;
      wake();
    },
  };
}

/** Whether the range goes on with a group that no longer fits behind `used`: then waiting for more is useless. */
function piecesLeftOut(matrix: StoredMatrix, offset: number, used: number): boolean {
  return offset < rangeBytes(matrix) && lastCut(offset, blockBytes - used - alignment, matrix) === offset;
}

/** The last end of a row group that lies at most `room` bytes behind `offset`; `offset` itself if none does. */
function lastCut(offset: number, room: number, matrix: StoredMatrix): number {
  const length = rangeBytes(matrix);
  const bytesPerRow = rowBytes(matrix);
  let cut = offset;
  while (cut < length) {
    const next = groupEnd(cut, length, bytesPerRow);
    if (next - offset > room) break;
    cut = next;
  }
  return cut;
}
