import test from "ava";
import fc from "fast-check";
import { groupEnd, groupRowCount, maxGroupRows, targetGroupBytes } from "../../src/projection/row-groups.js";
import { segmentBytes, segmentEnd } from "../../src/projection/segments.js";

const rowBytes = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.integer({ min: 1, max: 3 * segmentBytes }),
  fc.constantFrom(
    512,
    513,
    targetGroupBytes - 1,
    targetGroupBytes,
    targetGroupBytes + 1,
    segmentBytes,
    segmentBytes + 1,
  ),
);
/** Ranges of whole rows, up to some 40 MiB. */
const range = rowBytes.chain((bytes) =>
  fc.tuple(
    fc.constant(bytes),
    fc.integer({ min: 1, max: Math.max(1, Math.floor((5 * segmentBytes) / bytes)) }).map((rows) => rows * bytes),
  ),
);

function groupsOf(length: number, bytesPerRow: number): { begin: number; end: number }[] {
  const groups: { begin: number; end: number }[] = [];
  for (let begin = 0; begin < length; ) {
    const end = groupEnd(begin, length, bytesPerRow);
    if (end <= begin) throw new Error(`the group at ${begin} ends at ${end}`);
    groups.push({ begin, end });
    begin = end;
  }
  return groups;
}

test("groups cover the range, end to end, and none crosses a segment's end", (t) => {
  fc.assert(
    fc.property(range, ([bytesPerRow, length]) => {
      const groups = groupsOf(length, bytesPerRow);
      t.is(groups.at(-1)?.end, length);
      for (const { begin, end } of groups) if (end > segmentEnd(begin, length)) t.fail(`${begin} to ${end}`);
    }),
    { numRuns: 60 },
  );
});

test("groups hold whole rows, but where a segment's end cuts one", (t) => {
  fc.assert(
    fc.property(range, ([bytesPerRow, length]) => {
      for (const { begin, end } of groupsOf(length, bytesPerRow)) {
        if (begin % bytesPerRow !== 0 && begin % segmentBytes !== 0) t.fail(`begins at ${begin}`);
        if (end % bytesPerRow !== 0 && end % segmentBytes !== 0) t.fail(`ends at ${end}`);
      }
      t.pass();
    }),
    { numRuns: 60 },
  );
});

test("a group has one row or at most the bytes and rows aimed at", (t) => {
  fc.assert(
    fc.property(range, ([bytesPerRow, length]) => {
      for (const { begin, end } of groupsOf(length, bytesPerRow)) {
        if (end - begin > Math.max(bytesPerRow, targetGroupBytes)) t.fail(`${end - begin} bytes`);
        if (end - begin > bytesPerRow * maxGroupRows) t.fail(`${(end - begin) / bytesPerRow} rows`);
      }
      t.pass();
    }),
    { numRuns: 60 },
  );
});

test("every byte of a group names the same end", (t) => {
  fc.assert(
    fc.property(range, fc.double({ min: 0, max: 1, noNaN: true }), ([bytesPerRow, length], share) => {
      for (const { begin, end } of groupsOf(length, bytesPerRow)) {
        const inside = begin + Math.floor(share * (end - 1 - begin));
        if (groupEnd(inside, length, bytesPerRow) !== end) t.fail(`${inside} of ${begin} to ${end}`);
      }
      t.pass();
    }),
    { numRuns: 60 },
  );
});

test("a group of short rows has as many rows as are allowed, of long rows one", (t) => {
  t.is(groupRowCount(1), maxGroupRows);
  t.is(groupRowCount(16_384), 128);
  t.is(groupRowCount(targetGroupBytes + 1), 1);
});
