import test from "ava";
import { toCommonFolder } from "../../../src/trees/common-folder.js";
import type { DiscoveredTree, Discovery } from "../../../src/trees/discovery/discover-trees.js";
import type { SignatureGroup } from "../../../src/trees/discovery/read-models.js";
import { toDot } from "../../../src/trees/discovery/to-dot.js";
import { toSvg } from "../../../src/trees/discovery/to-svg.js";
import { toTreeJson } from "../../../src/trees/discovery/to-tree-json.js";

const layer = { kind: "dense", layout: "linear", loraScale: "none", shape: { rows: 8, columns: 9 } } as const;

/** One tree of two models with a nested one, and many trees of one. */
function createDiscovery(singles: number): Discovery {
  const locations = [
    'models/<a> & "b".safetensors',
    "models/c\u0007\\.safetensors",
    "models/d.safetensors",
    ...Array.from({ length: singles }, (_, at) => `models/single-${at}.safetensors`),
  ];
  const group: SignatureGroup = {
    key: "abc",
    kind: "dense",
    layers: [{ module: "blocks.1.out.weight", ...layer }],
    locations,
    sketches: { count: locations.length, width: 0, values: new Float32Array(0) },
  };
  const toTree = (id: number, models: readonly number[], parent?: number): DiscoveredTree => ({
    ...{ id, group, total: models.length, radius: 0.25, median: 0.125 },
    ...(parent !== undefined && { parent }),
    members: models.map((model, at) => ({ model, distance: 0.1 * (at + 1) })),
  });
  const trees = [{ ...toTree(1, [0, 1]), total: 3 }, toTree(2, [2], 1)];
  for (let at = 0; at < singles; at++) trees.push(toTree(3 + at, [3 + at]));
  return { groups: [group], trees, skipped: [] };
}

test("the picture names trees, counts and files, and is well-formed whatever the files are called", (t) => {
  const svg = toSvg(createDiscovery(2));
  t.regex(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="\d+" height="\d+"/);
  t.true(svg.includes("tree 1: 3 models, 1 of them nested"));
  t.true(svg.includes("&lt;a&gt; &amp; &quot;b&quot;.safetensors"));
  t.false(/<(?!\/?(?:svg|title|style|rect|text|line|circle|path)\b)/.test(svg));
  t.false(/\p{Cc}/u.test(svg.replaceAll("\n", "")));
  t.is(svg.match(/<circle/g)?.length, 4);
});

test("many trees of one model share a row, so that a picture of thousands stays readable", (t) => {
  const svg = toSvg(createDiscovery(4000));
  t.true(svg.includes("4,000 trees of one model each"));
  t.true(Number(/height="(\d+)"/.exec(svg)?.[1]) < 600);
});

test("the graph has a box for each tree, an edge to a nested one, and quoted names", (t) => {
  const dot = toDot(createDiscovery(1));
  t.true(dot.startsWith("digraph trees {"));
  t.true(dot.includes("tree1 -> tree2"));
  t.true(dot.includes('label="<a> & \\"b\\".safetensors"'));
  t.true(dot.includes('label="c\ufffd\\\\.safetensors"'));
  t.true(dot.includes('label="tree 1\\n3 models, dense\\nblocks.1.out.weight"'));
});

test("the JSON has every model of every tree", (t) => {
  const json = JSON.parse(JSON.stringify(toTreeJson(createDiscovery(1))));
  t.is(json.format, "probestream-trees/1");
  t.deepEqual(
    json.trees.map(({ id, parent, total }: { id: number; parent: number | null; total: number }) => [
      id,
      parent,
      total,
    ]),
    [
      [1, null, 3],
      [2, 1, 1],
      [3, null, 1],
    ],
  );
  t.deepEqual(json.trees[1].models, [{ file: "models/d.safetensors", distance: 0.1 }]);
});

test("the common folder of paths is whole folders only", (t) => {
  t.is(toCommonFolder(["a/b/c1", "a/b/c2"]), "a/b/");
  t.is(toCommonFolder(["a/bc/x", "a/bd/x"]), "a/");
  t.is(toCommonFolder(["/x", "/y"]), "/");
  t.is(toCommonFolder(["x/y", "z"]), "");
  t.is(toCommonFolder(["/x/y", "z/y"]), "");
  t.is(toCommonFolder([]), "");
});
