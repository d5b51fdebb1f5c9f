import test from "ava";
import { collectGarbage } from "../../src/search/collect-garbage.js";

test("collecting garbage frees buffers, however young", async (t) => {
  const buffer = new WeakRef(new Float32Array(1024 * 1024));
  // What a weak reference was asked for lives on until the end of the job.
  await new Promise((resolve) => setTimeout(resolve, 1));
  collectGarbage();
  t.is(buffer.deref(), undefined);
});
