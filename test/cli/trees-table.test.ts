import test from "ava";
import { toTreeLines } from "../../src/cli/trees-table.js";
import type { DiscoveredTree, Discovery } from "../../src/trees/discovery/discover-trees.js";

test("many trees of one model, and very many of several, are counted instead of listed", (t) => {
  const layer = { module: "m.weight", kind: "dense", layout: "linear", loraScale: "none" } as const;
  const locations = Array.from({ length: 300 }, (_, at) => `models/m-${at}.safetensors`);
  const sketches = { count: 300, width: 0, values: new Float32Array(0) };
  const group = {
    key: "",
    kind: "dense",
    layers: [{ ...layer, shape: { rows: 8, columns: 8 } }],
    locations,
    sketches,
  } as const;
  const toTree = (id: number, models: readonly number[]): DiscoveredTree => ({
    ...{ id, group, total: models.length, radius: 0.05, median: 0.02 },
    members: models.map((model) => ({ model, distance: 0.02 })),
  });
  const several = Array.from({ length: 60 }, (_, at) => toTree(at + 1, [3 * at, 3 * at + 1, 3 * at + 2]));
  const singles = Array.from({ length: 20 }, (_, at) => toTree(at + 61, [180 + at]));
  const lines = toTreeLines({ groups: [group], trees: [...several, ...singles], skipped: [] } satisfies Discovery);
  t.is(lines.length, 54);
  t.regex(lines[2] ?? "", /^1 +3 +dense +m\.weight +2\.0 % +5\.0 % +m-0\.safetensors, m-1\.safetensors, …$/);
  t.deepEqual(lines.slice(-2), [
    "and 10 smaller trees (--json names all)",
    "and 20 trees of one model each, such as m-180.safetensors (--json names all)",
  ]);
});
