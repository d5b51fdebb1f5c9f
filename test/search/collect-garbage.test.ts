import test from "ava";
import { collectGarbage, collectLeftovers, worthCollectingBytes } from "../../src/search/collect-garbage.js";

test.serial("collecting garbage frees buffers, however young", async (t) => {
  const buffer = new WeakRef(new Float32Array(1024 * 1024));
  // What a weak reference was asked for lives on until the end of the job.
  await new Promise((resolve) => setTimeout(resolve, 1));
  collectGarbage();
  t.is(buffer.deref(), undefined);
});

test.serial("what is left behind is collected once it comes to a megabyte", async (t) => {
  const buffer = new WeakRef(new Float32Array(1024 * 1024));
  await new Promise((resolve) => setTimeout(resolve, 1));
  t.false(collectLeftovers(worthCollectingBytes - 1));
  t.true(collectLeftovers(1));
  t.is(buffer.deref(), undefined);
  t.false(collectLeftovers(worthCollectingBytes - 1), "it is counted anew");
});
