import test from "ava";
import { scaleToUnit } from "../../../../src/linalg/unit.js";
import { createSegments } from "../../../../src/vectors/stores/lmdb/segments.js";
import { randomValues } from "../../../helpers/random.js";

test("rows stay as they are while their matrix grows, and go where it shrinks", (t) => {
  const width = 500;
  const segments = createSegments(width, 5, 2_000_000);
  const { rowsPerSegment } = segments;
  const slots = [0, 1, 255, 256, 700, rowsPerSegment - 1, rowsPerSegment, rowsPerSegment + 3];
  const rows = slots.map((slot) => randomValues(width, slot));
  for (const [index, row] of rows.entries()) segments.write(slots[index] ?? 0, Buffer.from(row.buffer));
  for (const [index, row] of rows.entries()) {
    scaleToUnit(row);
    t.deepEqual(segments.row(slots[index] ?? 0), row);
  }
  t.is(segments.list.length, 2);
  t.true(segments.list.every(({ values }) => values.length <= rowsPerSegment * width));
  segments.shrink(rowsPerSegment + 1);
  t.is(segments.list.length, 2);
  segments.shrink(rowsPerSegment);
  t.is(segments.list.length, 1);
  segments.reserve(2 * rowsPerSegment + 300);
  t.deepEqual(
    segments.list.map(({ values }) => values.length / width),
    [rowsPerSegment, rowsPerSegment, 512],
  );
  t.is(createSegments(width, 2 * rowsPerSegment + 1, 2_000_000).list.length, 3);
});
