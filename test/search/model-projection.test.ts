import test from "ava";
import type { Accumulator, Projector } from "../../src/projection/accumulator.js";
import { openModelProjection } from "../../src/search/model-projection.js";
import { openSketchKernel } from "../../src/trees/sketches/sketch-kernel.js";
import { storedMatrix } from "../helpers/stored-layer.js";

test("the accumulators of a model use their backend one after another", async (t) => {
  let running = 0;
  let most = 0;
  const alone = async <T>(value: T): Promise<T> => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    return value;
  };
  const accumulator: Accumulator = {
    add: () => alone(undefined),
    state: () => alone([]),
    restore: () => alone(undefined),
    total: () => alone([]),
    adopt: () => alone(undefined),
    uses: () => [],
    finish: () => alone(new Float32Array(1)),
    dispose: () => alone(undefined),
  };
  const projector: Projector = { open: () => accumulator, dispose: async () => {} };
  const matrix = storedMatrix(2, 3, "F32");
  const uses = [{ role: "weight", tensorIndex: 0, matrix }] as const;
  const targets = ["a", "b", "c"].map((spaceId) => ({ spaceId, treeKey: "", uses, projector, tree: undefined }));
  const projection = await openModelProjection([matrix], targets, {
    saved: undefined,
    isRouted: false,
    kernel: await openSketchKernel(),
  });
  await projection.accept(0, new Uint8Array(24), async () => {});
  t.is((await projection.state()).targets.length, 3);
  t.is((await projection.finish(undefined)).length, 3);
  await projection.dispose();
  t.is(most, 1);
});
