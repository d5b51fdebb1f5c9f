import test from "ava";
import { releaseMessage } from "../../src/rpc/release-message.js";

test("a large message gives its memory back at once", (t) => {
  const { buffer } = new Uint8Array(1024 * 1024);
  releaseMessage(new Uint8Array(buffer, 20));
  t.is(buffer.byteLength, 0);
});

test("a small message and one that shares its buffer stay as they are", (t) => {
  const small = Buffer.from("a chunk of a LoRA");
  releaseMessage(small);
  t.is(small.toString(), "a chunk of a LoRA");
  const shared = new Uint8Array(1024 * 1024).fill(7);
  releaseMessage(shared.subarray(0, 512 * 1024));
  t.is(shared[0], 7);
  const elsewhere = new Uint8Array(new SharedArrayBuffer(1024 * 1024)).fill(7);
  releaseMessage(elsewhere);
  t.is(elsewhere[0], 7);
});
