import test from "ava";
import fc from "fast-check";
import { dtypeBytes } from "../../src/linalg/dtype.js";
import { isResumePoint, segmentBytes, segmentEnd } from "../../src/projection/segments.js";

const length = fc.oneof(
  fc.integer({ min: 1, max: 5 * segmentBytes }),
  fc.constantFrom(1, segmentBytes - 1, segmentBytes, segmentBytes + 1, 2 * segmentBytes, 2 ** 40 + 3),
);
const lengthAndOffset = length.chain((n) => fc.tuple(fc.constant(n), fc.integer({ min: 0, max: n - 1 })));

test("a segment ends behind each byte it holds, inside the range, at most a segment further on", (t) => {
  fc.assert(
    fc.property(lengthAndOffset, ([n, offset]) => {
      const end = segmentEnd(offset, n);
      t.true(end > offset && end <= n && end - offset <= segmentBytes);
      t.true(end === n || end % segmentBytes === 0);
    }),
  );
});

test("walking from end to end meets each segment once", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20 * segmentBytes }), (n) => {
      let count = 0;
      for (let offset = 0; offset < n; offset = segmentEnd(offset, n)) count++;
      t.is(count, Math.ceil(n / segmentBytes));
    }),
  );
});

test("an upload goes on at segment ends and nowhere else", (t) => {
  fc.assert(
    fc.property(lengthAndOffset, ([n, offset]) => {
      t.true(isResumePoint(segmentEnd(offset, n), n));
      t.is(isResumePoint(offset, n), offset % segmentBytes === 0);
      t.false(isResumePoint(n + 1, n));
    }),
  );
  t.true(isResumePoint(0, 0));
  t.true(isResumePoint(0, 10));
});

test("a segment holds whole numbers of every element type", (t) => {
  for (const size of Object.values(dtypeBytes)) t.is(segmentBytes % size, 0);
});
