import test from "ava";
import { encodeUploadState, parseUploadState, uploadStateBytes } from "../../src/search/upload-state.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createUploadState } from "../helpers/upload-states.js";

test("a saved upload is read back as it was", async (t) => {
  for (const seed of [1, 2]) {
    const saved = createUploadState(seed);
    const bytes = encodeUploadState(saved);
    t.deepEqual(await parseUploadState(bytes, "x"), saved);
    // What a file's content is, at an odd place of a larger buffer.
    const content = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
    t.deepEqual(await parseUploadState(content, "x"), saved);
  }
});

test("ten targets do not mix", async (t) => {
  const saved = createUploadState(1);
  const targets = Array.from({ length: 12 }, (_, i) => [
    { name: "sum", rows: 1, columns: 1, values: Float32Array.of(i) },
  ]);
  const { state } = await parseUploadState(encodeUploadState({ ...saved, state: { ...saved.state, targets } }), "x");
  t.deepEqual(state.targets, targets);
});

test("a saved upload's size is about that of its file", (t) => {
  const saved = createUploadState(1);
  const size = encodeUploadState(saved).byteLength;
  t.true(Math.abs(uploadStateBytes(saved) - size) < 1024, `${uploadStateBytes(saved)} for ${size}`);
});

test("a saved upload cut off anywhere is damaged", async (t) => {
  const bytes = encodeUploadState(createUploadState(1));
  for (let length = 0; length < bytes.length; length += 13) {
    await assertRefused(t, () => parseUploadState(bytes.subarray(0, length), "x.upload"), {
      kind: "corrupt-data",
      reason: "CORRUPT",
      message: "the saved upload x.upload is damaged; it starts again at 0",
    });
  }
});

test("a saved upload with one flipped bit is damaged", async (t) => {
  const bytes = encodeUploadState(createUploadState(1));
  for (let at = 8; at < bytes.length; at += 7) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 16;
    await assertRefused(t, () => parseUploadState(flipped, "x.upload"), {
      kind: "corrupt-data",
      reason: "CORRUPT",
      message: "the saved upload x.upload is damaged; it starts again at 0",
    });
  }
});
