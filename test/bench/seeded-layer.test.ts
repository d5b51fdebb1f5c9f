import { createHash } from "node:crypto";
import test from "ava";
import { SEGMENT_BYTES, SeededLayer } from "../../bench/seeded-layer.js";

const TOTAL = SEGMENT_BYTES * 2 + 4096;

test("reading in pieces gives the segments, and the same seed the same layer", (t) => {
  const layer = new SeededLayer(TOTAL, 3);
  const hash = createHash("sha256");
  let offset = 0;
  while (offset < TOTAL) {
    const data = layer.read(offset, 1_000_000);
    hash.update(data);
    offset += data.length;
  }
  t.is(offset, TOTAL);
  const again = new SeededLayer(TOTAL, 3);
  const whole = createHash("sha256");
  for (let index = 0; index < 3; index++) whole.update(again.segment(index));
  t.is(hash.digest("hex"), whole.digest("hex"));
});

test("segments differ from each other and between seeds, and the last is as long as the rest", (t) => {
  const digests = Buffer.from(new SeededLayer(TOTAL, 3).segmentDigests()).toString("hex");
  const parts = digests.match(/.{64}/g) ?? [];
  t.is(new Set(parts).size, 3);
  t.not(Buffer.from(new SeededLayer(TOTAL, 4).segmentDigests(1)).toString("hex"), parts[0]);
  t.is(new SeededLayer(TOTAL, 3).segment(2).length, 4096);
  t.is(new SeededLayer(TOTAL, 3).segmentDigests(0).length, 0);
});
