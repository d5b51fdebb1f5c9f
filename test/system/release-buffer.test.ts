import test from "ava";
import { releaseBuffer } from "../../src/system/release-buffer.js";

test("a released buffer is empty, and its memory no longer counts", (t) => {
  const bytes = new Uint8Array(64 * 1024 * 1024);
  const { arrayBuffers: before } = process.memoryUsage();
  releaseBuffer(bytes.buffer);
  t.is(bytes.byteLength, 0);
  t.true(before - process.memoryUsage().arrayBuffers > 60 * 1024 * 1024);
});

test("a buffer of Node.js's pool is not taken from those that share it", (t) => {
  const pooled = Buffer.from("pooled");
  releaseBuffer(pooled.buffer as ArrayBuffer);
  t.is(pooled.toString(), "pooled");
});
