/** Bytes of a whole segment. Smaller ones cost a batch of 64 queries more: 1.13 of one product at 8 MiB, 1.05 at 64. */
const segmentBytes = 64 * 1024 ** 2;
/** Rows that the last segment begins with; it doubles as it fills. */
const firstRows = 256;

/** Rows that lie behind one another in memory. */
export interface Segment {
  /** Slot of its first row. */
  readonly first: number;
  /** Row-major; with room for rows that are not there yet. */
  readonly values: Float32Array;
}

/** A matrix that grows by segments, so that growing copies no more than one of them. */
export interface Segments {
  readonly width: number;
  /** Rows of a whole segment. */
  readonly rowsPerSegment: number;
  readonly list: readonly Segment[];
  /** A row, to read or write; room for it is made. */
  row(slot: number): Float32Array;
  /** Lets go of segments that begin at this row or later. */
  shrink(end: number): void;
}

/** Makes a matrix without rows. */
export function createSegments(width: number): Segments {
  const rowsPerSegment = Math.max(firstRows, Math.floor(segmentBytes / (4 * width)));
  const list: Segment[] = [];
  const grow = (index: number, rows: number): void => {
    while (list.length <= index) list.push({ first: list.length * rowsPerSegment, values: new Float32Array(0) });
    const { first, values } = list[index] as Segment;
    let capacity = Math.max(firstRows, values.length / width);
    while (capacity < rows) capacity *= 2;
    const grown = new Float32Array(Math.min(capacity, rowsPerSegment) * width);
    grown.set(values);
    list[index] = { first, values: grown };
  };
  return {
    width,
    rowsPerSegment,
    list,
    row: (slot) => {
      const index = Math.floor(slot / rowsPerSegment);
      const at = slot - index * rowsPerSegment;
      if ((list[index]?.values.length ?? 0) < (at + 1) * width) grow(index, at + 1);
      return (list[index] as Segment).values.subarray(at * width, (at + 1) * width);
    },
    shrink: (end) => {
      while (list.length > 0 && (list.at(-1) as Segment).first >= end) list.pop();
    },
  };
}

/** Scales a row to unit length, in place; its length is taken in float64, which float32 numbers neither over- nor underflow. */
export function scaleToUnit(row: Float32Array): void {
  let square = 0;
  for (let i = 0; i < row.length; i++) square += (row[i] as number) ** 2;
  const length = Math.sqrt(square);
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) / length;
}
