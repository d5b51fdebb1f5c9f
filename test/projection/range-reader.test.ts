import test, { type ExecutionContext } from "ava";
import { createOnnxBackend } from "../../src/compute/backends/onnx.js";
import type { RowBlock } from "../../src/compute/compute-backend.js";
import { InternalError } from "../../src/errors/probestream-error.js";
import { createProbexProjector } from "../../src/projection/probex-projector.js";
import { createRangeReader, digestBytes, type RangeReader } from "../../src/projection/range-reader.js";
import { segmentBytes, segmentEnd } from "../../src/projection/segments.js";
import { rangeBytes, rowBytes, type StoredMatrix } from "../../src/projection/stored-matrix.js";
import { randomNumbers } from "../helpers/decode.js";
import { randomBytes, randomMatrix } from "../helpers/random.js";
import { createTensorReader, cut, segmentDigestsOf, storedMatrix, toBits } from "../helpers/stored-layer.js";

/** Puts blocks together again as a sum would: what is cut off is zero, so bytes add up. */
function createCollector(matrix: StoredMatrix): { bytes: Uint8Array; add(block: RowBlock): Promise<void> } {
  const bytes = new Uint8Array(rangeBytes(matrix));
  let lastRow = 0;
  /** All from here on is still zero. */
  let reached = 0;
  return {
    bytes,
    add: async (block) => {
      const begin = block.rowBegin * rowBytes(matrix);
      if (block.rowBegin < lastRow - 1) throw new Error("rows went back");
      if (block.bytes.byteLength !== block.rowCount * rowBytes(matrix)) throw new Error("a block is no whole rows");
      if (block.dtype !== matrix.dtype || block.columnCount !== matrix.columnCount) throw new Error("another matrix");
      lastRow = block.rowBegin + block.rowCount;
      const again = Math.min(Math.max(0, reached - begin), block.bytes.byteLength);
      for (let i = 0; i < again; i++) {
        const byte = block.bytes[i] as number;
        if (byte !== 0 && bytes[begin + i] !== 0) throw new Error(`byte ${begin + i} came twice`);
        if (byte !== 0) bytes[begin + i] = byte;
      }
      bytes.set(block.bytes.subarray(again), begin + again);
      reached = Math.max(reached, begin + block.bytes.byteLength);
    },
  };
}

/** Streams in pieces whose memory is overwritten as soon as it is given back. */
async function feed(reader: RangeReader, bytes: Uint8Array, chunkBytes: number): Promise<number[]> {
  const ends: number[] = [];
  for (const chunk of cut(bytes, chunkBytes)) {
    const lent = chunk.slice();
    await reader.accept(lent, async () => {
      ends.push(reader.offset);
    });
    lent.fill(0xee);
  }
  return ends;
}

async function assertReassembled(
  t: ExecutionContext,
  matrix: StoredMatrix,
  stored: Uint8Array,
  chunkSizes: readonly number[],
): Promise<void> {
  const expectedDigests = segmentDigestsOf(stored);
  const expectedEnds: number[] = [];
  for (let at = 0; at < stored.byteLength; at = segmentEnd(at, stored.byteLength)) {
    expectedEnds.push(segmentEnd(at, stored.byteLength));
  }
  for (const chunkBytes of chunkSizes) {
    const collector = createCollector(matrix);
    const reader = createRangeReader(matrix, collector.add, { digestMs: 0, projectMs: 0 });
    const ends = await feed(reader, stored, chunkBytes);
    t.is(Buffer.compare(collector.bytes, stored), 0, `chunks of ${chunkBytes}`);
    t.is(reader.offset, stored.byteLength);
    t.is(reader.length, stored.byteLength);
    t.is(Buffer.compare(reader.segmentDigests, expectedDigests), 0, `digests, chunks of ${chunkBytes}`);
    t.deepEqual(ends, expectedEnds);
  }
}

for (const [rows, columns, dtype] of [
  [7, 5, "F32"],
  [1, 3, "F64"],
  [13, 1, "BF16"],
  [17, 11, "F8_E4M3"],
] as const) {
  test(`rows of a ${rows} × ${columns} ${dtype} range are the same at every chunk size`, async (t) => {
    const matrix = storedMatrix(rows, columns, dtype);
    const stored = randomBytes(rangeBytes(matrix), 5);
    const sizes = Array.from({ length: stored.byteLength + 1 }, (_, i) => i + 1);
    await assertReassembled(t, matrix, stored, sizes);
  });
}

for (const [what, rows, columns, dtype] of [
  ["rows that a segment's end cuts", 2797, 1000, "F32"],
  ["rows of an odd number of bytes", 839, 10_007, "F8_E5M2"],
  ["rows of more than a group", 2, 2_300_001, "F16"],
  ["rows longer than a segment", 1, 8_400_003, "F16"],
  ["rows of one number", 8_388_609, 1, "F8_E4M3"],
] as const) {
  test(`${what} come whole from more than one segment at any chunk size`, async (t) => {
    const matrix = storedMatrix(rows, columns, dtype);
    const stored = randomBytes(rangeBytes(matrix), 6);
    t.true(stored.byteLength > segmentBytes);
    await assertReassembled(t, matrix, stored, [65_537, segmentBytes - 1, stored.byteLength]);
  });
}

test("a row that a segment's end cuts counts at each part", async (t) => {
  const matrix = storedMatrix(3, 3 * 1024 * 1024, "F8_E4M3");
  const reader = createRangeReader(matrix, async () => {}, { digestMs: 0, projectMs: 0 });
  await feed(reader, new Uint8Array(rangeBytes(matrix)), 1024 * 1024);
  t.is(reader.rowsRead, 4);
});

test("bytes beyond the range are a fault of the caller", async (t) => {
  const reader = createRangeReader(storedMatrix(2, 2, "F32"), async () => {}, { digestMs: 0, projectMs: 0 });
  await reader.accept(new Uint8Array(15), async () => {});
  await t.throwsAsync(
    reader.accept(new Uint8Array(2), async () => {}),
    { instanceOf: InternalError },
  );
});

test("the sums of a range are the same bit for bit however it is cut, and resumed at a segment's end", async (t) => {
  // 21 MB, rows of 8,404 bytes: no segment ends with a row.
  const matrix = storedMatrix(2500, 2101, "F32");
  const stored = randomNumbers(2500 * 2101, "F32", 77);
  const backend = await createOnnxBackend();
  t.teardown(() => backend.dispose());
  const probes = { u: randomMatrix(2101, 5, 1), v: randomMatrix(3, 2500, 2) };
  const projector = await createProbexProjector(backend, { kind: "dense", layout: "linear" }, probes);
  const tensor = { role: "weight", matrix } as const;

  const whole = projector.open({ weight: matrix });
  const states: { offset: number; segmentDigests: Uint8Array; parts: Awaited<ReturnType<typeof whole.state>> }[] = [];
  const wholeReader = createTensorReader(whole, tensor);
  await wholeReader.accept(stored, async () => {
    const { offset, segmentDigests } = wholeReader;
    states.push({ offset, segmentDigests, parts: await whole.state() });
  });
  const expected = toBits(await whole.state());
  t.deepEqual(
    states.map(({ offset }) => offset),
    [segmentBytes, 2 * segmentBytes, stored.byteLength],
  );

  for (const size of [4095, 99_991, 1024 * 1024 - 4096, segmentBytes + 1]) {
    const accumulator = projector.open({ weight: matrix });
    await feed(createTensorReader(accumulator, tensor), stored, size);
    t.deepEqual(toBits(await accumulator.state()), expected, `chunks of ${size}`);
  }
  const expectedDigests = segmentDigestsOf(stored);
  for (const { offset, segmentDigests, parts } of states) {
    const accumulator = projector.open({ weight: matrix });
    await accumulator.restore(parts);
    const reader = createTensorReader(accumulator, tensor, { offset, segmentDigests });
    await feed(reader, stored.subarray(offset), 333_333);
    t.deepEqual(toBits(await accumulator.state()), expected, `from ${offset}`);
    t.is(reader.segmentDigests.byteLength, 3 * digestBytes);
    t.is(Buffer.compare(reader.segmentDigests, expectedDigests), 0);
  }
});
