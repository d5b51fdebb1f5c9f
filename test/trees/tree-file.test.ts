import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { fitCentroid } from "../../src/trees/fit-centroid.js";
import { fitTreeGaussian } from "../../src/trees/fit-tree-gaussian.js";
import type { Tree } from "../../src/trees/tree.js";
import { readTree, toTreeEntry, treeFileName } from "../../src/trees/tree-file.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

function createTree(): Tree {
  const random = new Random(5);
  const sketches = Array.from({ length: 12 }, () => Float64Array.from(random.spread(8 * 64, 1)));
  return {
    name: "pictures",
    parent: "everything",
    models: 12,
    centroid: fitCentroid({ rowCount: 8, columnCount: 30 }, sketches),
    gaussian: fitTreeGaussian({ width: 3, values: random.spread(36, 1) }),
  };
}

test("a tree is read as it was written, to float32", async (t) => {
  const folder = await createTemporaryFolder(t);
  const tree = createTree();
  const { keys, bytes } = toTreeEntry(tree);
  await writeFile(join(folder, treeFileName), bytes);
  const found = await readTree(folder, JSON.parse(JSON.stringify(keys)));
  t.is(found?.name, tree.name);
  t.is(found?.parent, tree.parent);
  t.is(found?.models, 12);
  t.is(found?.centroid?.reach, tree.centroid?.reach);
  t.deepEqual(found?.centroid?.shape, tree.centroid?.shape);
  t.deepEqual(found?.centroid?.values, tree.centroid?.values.map(Math.fround));
  t.deepEqual(found?.gaussian?.lower, tree.gaussian?.lower.map(Math.fround));
});

test("an expert without a tree has none", async (t) => {
  t.is(await readTree("nowhere", {}), undefined);
  t.is(await readTree("nowhere", { tree: { name: "words" } }), undefined);
});

test("a tree whose parts do not fit is refused, with what is wrong and how to mend it", async (t) => {
  const folder = await createTemporaryFolder(t);
  const { keys, bytes } = toTreeEntry(createTree());
  await writeFile(join(folder, treeFileName), bytes);
  const { tree, calibration } = keys;
  for (const [extra, message] of [
    [{ tree: { ...tree, stored: [9, 30] }, calibration }, /centroid is not 576 numbers.*experts calibrate/],
    [{ tree: { ...tree, stored: "large" }, calibration }, /tree\.stored is no shape.*experts calibrate/],
    [{ tree }, /calibration\.layer has no median.*experts calibrate/],
  ] as const) {
    await assertRefused(t, () => readTree(folder, extra), { reason: "HEADER_MALFORMED", message });
  }
});
