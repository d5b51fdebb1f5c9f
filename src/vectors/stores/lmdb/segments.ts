import { scaleToUnit } from "../../../linalg/unit.js";

/**
 * Bytes of a whole segment. Threads wait for each other at the end of each, so that smaller ones cost more: a batch of 64
 * queries takes 1.13 of one product at 8 MiB and 1.05 at 64, with free cores; where others use them, more.
 */
const segmentBytes = 256 * 1024 ** 2;
/** Rows of a segment at most, however narrow: the graph counts them in float32. */
const mostRows = 2 ** 22;
/** Rows that the last segment begins with; it doubles as it fills. */
const firstRows = 256;

/** Rows that lie behind one another in memory. */
export interface Segment {
  /** Slot of its first row. */
  readonly first: number;
  /** Row-major; with room for rows that are not there yet. */
  readonly values: Float32Array;
  /** The same memory. */
  readonly bytes: Uint8Array;
}

/** A matrix that grows by segments, so that growing copies no more than one of them. */
export interface Segments {
  readonly width: number;
  /** Rows of a whole segment. */
  readonly rowsPerSegment: number;
  readonly list: readonly Segment[];
  /** A row that was written. */
  row(slot: number): Float32Array;
  /** Writes a row, at unit length: the numbers with which some bytes begin. Room for it is made. */
  write(slot: number, bytes: Buffer): void;
  /** Makes room for all rows before this one, also for those that are never written. */
  reserve(end: number): void;
  /** Lets go of segments that begin at this row or later. */
  shrink(end: number): void;
}

/**
 * Makes a matrix without rows, but with room for some.
 *
 * @param bytes of a whole segment.
 */
export function createSegments(width: number, rowsExpected = 0, bytes = segmentBytes): Segments {
  const rowsPerSegment = Math.min(mostRows, Math.max(firstRows, Math.floor(bytes / (4 * width))));
  const list: Segment[] = [];
  const grow = (index: number, rows: number): void => {
    while (list.length <= index) list.push(createSegment(list.length * rowsPerSegment, 0));
    const { first, values } = list[index] as Segment;
    let capacity = Math.max(firstRows, values.length / width);
    while (capacity < rows) capacity *= 2;
    const grown = createSegment(first, Math.min(capacity, rowsPerSegment) * width);
    grown.values.set(values);
    list[index] = grown;
  };
  const reserve = (end: number): void => {
    for (let first = 0; first < end; first += rowsPerSegment) {
      const index = first / rowsPerSegment;
      const rows = Math.min(rowsPerSegment, end - first);
      if ((list[index]?.values.length ?? 0) < rows * width) grow(index, rows);
    }
  };
  reserve(rowsExpected);
  return {
    width,
    rowsPerSegment,
    list,
    row: (slot) => {
      const { first, values } = list[Math.floor(slot / rowsPerSegment)] as Segment;
      return values.subarray((slot - first) * width, (slot - first + 1) * width);
    },
    write: (slot, bytes) => {
      const index = Math.floor(slot / rowsPerSegment);
      const at = slot - index * rowsPerSegment;
      if ((list[index]?.values.length ?? 0) < (at + 1) * width) grow(index, at + 1);
      const segment = list[index] as Segment;
      // No view per row is made: opening a large store would spend a third of its time on them.
      bytes.copy(segment.bytes, 4 * at * width, 0, 4 * width);
      scaleToUnit(segment.values, at * width, (at + 1) * width);
    },
    reserve,
    shrink: (end) => {
      while (list.length > 0 && (list.at(-1) as Segment).first >= end) list.pop();
    },
  };
}

function createSegment(first: number, length: number): Segment {
  const values = new Float32Array(length);
  return { first, values, bytes: new Uint8Array(values.buffer) };
}
