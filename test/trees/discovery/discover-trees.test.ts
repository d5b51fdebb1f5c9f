import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { adjustedRandIndex } from "../../../src/trees/discovery/adjusted-rand-index.js";
import { type DiscoverOptions, type Discovery, discoverTrees } from "../../../src/trees/discovery/discover-trees.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { toBase, toFullModel, toLoraModel } from "../tree-models.js";

/** Writes models, mixed, and finds their trees. */
async function discover(
  t: ExecutionContext,
  models: readonly { readonly tree: string; readonly bytes: Uint8Array }[],
  options: DiscoverOptions = {},
): Promise<{ readonly found: Discovery; readonly index: number; readonly sizes: readonly number[] }> {
  const folder = await createTemporaryFolder(t);
  const locations = models.map((_, at) => join(folder, `${(101 * at) % models.length}.safetensors`));
  await Promise.all(models.map(({ bytes }, at) => writeFile(locations[at] as string, bytes)));
  const found = await discoverTrees([...locations].sort(), options);
  const trees = new Map(
    found.trees.flatMap(({ id, group, members }) => members.map(({ model }) => [group.locations[model], id] as const)),
  );
  const index = adjustedRandIndex(
    locations.map((location) => trees.get(location) ?? -1),
    models.map(({ tree }) => tree),
  );
  return { found, index, sizes: found.trees.map(({ total }) => total) };
}

function toTree(tree: string, count: number, seed: number, change = 0.2) {
  const base = toBase(seed);
  return Array.from({ length: count }, (_, at) => ({ tree, bytes: toFullModel(base, 1000 * seed + at, change) }));
}

test("full models of the same shapes are told apart by their weights, and described", async (t) => {
  const models = [...toTree("a", 12, 1), ...toTree("b", 5, 2), ...toTree("c", 1, 3)];
  const { found, index, sizes } = await discover(t, models);
  t.is(index, 1);
  t.deepEqual(sizes, [12, 5, 1]);
  t.deepEqual(
    found.groups.map(({ layers }) => layers.map(({ module }) => module)),
    [["blocks.1.out.weight"]],
  );
  const [largest, , single] = found.trees;
  // A change of 0.2 of the weights' own deviation.
  t.true(Math.abs((largest?.median ?? 0) - 0.2) < 0.03);
  t.true((largest?.radius ?? 0) >= (largest?.median ?? 1));
  t.deepEqual([single?.radius, single?.median], [0, 0]);
});

test("LoRAs of the same modules are told apart by the directions that they moved in, whatever their ranks", async (t) => {
  const models = [1, 2].flatMap((seed) =>
    Array.from({ length: 24 }, (_, at) => ({
      tree: String(seed),
      bytes: toLoraModel(toBase(seed), 100 * seed + at, 2 + (at % 2)),
    })),
  );
  const { index, sizes, found } = await discover(t, models);
  t.is(index, 1);
  t.deepEqual(sizes, [24, 24]);
  t.is(found.groups.length, 1);
});

test("more models than fit at once are placed from a sample, and those unlike it are clustered again", async (t) => {
  const models = [...toTree("a", 30, 1), ...toTree("b", 20, 2), ...toTree("c", 2, 3), ...toTree("d", 1, 4)];
  const { index, sizes } = await discover(t, models, { mostAtOnce: 8 });
  t.is(index, 1);
  t.deepEqual(sizes, [30, 20, 2, 1]);
});

test("fine-tunes of a fine-tune are a tree nested in the first, unless none are wanted", async (t) => {
  const base = toBase(1);
  const turned = toBase(9).map((value, at) => (base[at] as number) + 0.5 * value);
  const models = ["first", "second"].flatMap((tree, which) =>
    Array.from({ length: 20 - 5 * which }, (_, at) => ({
      tree,
      bytes: toFullModel(which === 0 ? base : turned, 50 * which + at, 0.1),
    })),
  );
  const { index, found } = await discover(t, models);
  t.is(index, 1);
  t.deepEqual(
    found.trees.map(({ id, parent, total, members }) => [id, parent, total, members.length]),
    [
      [1, undefined, 35, 20],
      [2, 1, 15, 15],
    ],
  );
  t.deepEqual((await discover(t, models, { nested: false })).sizes, [35]);
});

test("a number of trees can be asked for", async (t) => {
  const models = [...toTree("a", 6, 1), ...toTree("b", 6, 2), ...toTree("c", 6, 3)];
  for (const trees of [1, 2, 3]) t.is((await discover(t, models, { trees, nested: false })).found.trees.length, trees);
});

test("what cannot be read is named and left out, and a layer that a model lacks is no end to the others", async (t) => {
  const models = [...toTree("a", 3, 1), { tree: "x", bytes: new Uint8Array(40) }];
  const { found } = await discover(t, models, { layer: "blocks.2.out" });
  t.is(found.trees.flatMap(({ members }) => members).length, 3);
  t.is(found.groups[0]?.layers[0]?.module, "blocks.2.out.weight");
  t.deepEqual(
    found.skipped.map(({ error }) => error.reason),
    ["HEADER_MALFORMED"],
  );
  const none = await discover(t, toTree("a", 2, 1), { layer: "elsewhere" });
  t.deepEqual(
    [none.found.trees.length, ...none.found.skipped.map(({ error }) => error.reason)],
    [0, "LAYER_NOT_FOUND", "LAYER_NOT_FOUND"],
  );
});

test("a signal ends the work", async (t) => {
  const signal = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(discover(t, toTree("a", 2, 1), { signal }), { message: "enough" });
});
