import test from "ava";
import { createSegments, scaleToUnit } from "../../../../src/vectors/stores/lmdb/segments.js";

test("rows stay as they are while their matrix grows, and go where it shrinks", (t) => {
  const segments = createSegments(16_000);
  const { rowsPerSegment } = segments;
  const slots = [0, 1, 255, 256, 700, rowsPerSegment - 1, rowsPerSegment, rowsPerSegment + 3];
  for (const slot of slots) segments.row(slot).fill(slot + 1);
  t.deepEqual(
    slots.map((slot) => [segments.row(slot)[0], segments.row(slot).at(-1)]),
    slots.map((slot) => [slot + 1, slot + 1]),
  );
  t.is(segments.list.length, 2);
  t.true(segments.list.every(({ values }) => values.length <= rowsPerSegment * 16_000));
  segments.shrink(rowsPerSegment + 1);
  t.is(segments.list.length, 2);
  segments.shrink(rowsPerSegment);
  t.is(segments.list.length, 1);
});

test("a row of any length is scaled to unit length", (t) => {
  for (const scale of [1e-38, 1, 3e38]) {
    const row = Float32Array.of(3 * (scale / 5), 4 * (scale / 5), 0);
    scaleToUnit(row);
    t.true(Math.abs(Math.hypot(...row) - 1) < 1e-6);
  }
});
