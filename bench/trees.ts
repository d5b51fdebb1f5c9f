import { join } from "node:path";
import { adjustedRandIndex } from "../src/trees/discovery/adjusted-rand-index.js";
import { type DiscoverOptions, type Discovery, discoverTrees } from "../src/trees/discovery/discover-trees.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { toMarkdownTable, toVerdict } from "./report.js";
import { repositoryRoot } from "./repository-root.js";
import { openTreeZoo, type ZooModel, zooTrees } from "./tree-zoo.js";

const LEAST_INDEX = 0.99;

/** Are the trees of a mixture found again, though shapes do not tell them apart? */
export const trees: Bench = {
  summary: "adjusted Rand index of the trees found in a mixture of full fine-tunes and LoRAs",
  options: {
    count: { help: "models of each tree that is made for it, 1 to 500", fallback: "100" },
    "demo-count": { help: "models of each of the demo's two trees", fallback: "500" },
    cache: { help: "folder that they are kept in", fallback: join(repositoryRoot, ".cache", "trees") },
  },
  run: measure,
};

async function measure(options: BenchOptions): Promise<boolean> {
  const sizes = { count: options.count("count"), demoCount: options.count("demo-count") };
  const models = await openTreeZoo(options.text("cache"), sizes, (line) => console.error(line));
  const startedAt = performance.now();
  const found = await discoverTrees(models.map(({ location }) => location));
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(toMarkdownTable(["tree of the mixture", "kind", "models", "found as"], toRows(models, found)));
  console.log(`\n- ${models.length} models in ${seconds.toFixed(1)} s; ${found.skipped.length} skipped`);
  const rows: string[][] = [];
  for (const { title, kind, choose, options: chosen } of variants) {
    const own = models.filter(({ tree }) => tree.kind === kind).filter(choose);
    const again = await discoverTrees(
      own.map(({ location }) => location),
      chosen,
    );
    const tops = again.trees.filter(({ parent }) => parent === undefined).length;
    const known = new Set(own.map(({ tree }) => tree.of ?? tree.name)).size;
    const counts = [own.length, known, tops, again.trees.length - tops].map(String);
    rows.push([title, ...counts, toIndex(own, again, false).toFixed(4), toIndex(own, again, true).toFixed(4)]);
  }
  const heading = ["mixture", "models", "trees in it", "found", "nested found", "ARI, trees", "ARI, with nested"];
  console.log(`\n${toMarkdownTable(heading, rows)}\n`);
  const [dense, lora] = (["dense", "loras"] as const).map((kind) => {
    const own = models.filter(({ tree }) => tree.kind === kind);
    return toIndex(own, found, false);
  }) as [number, number];
  console.log(toVerdict(dense >= LEAST_INDEX, `ARI of full fine-tunes ${dense.toFixed(4)}`, `>= ${LEAST_INDEX}`));
  console.log(`- ARI of LoRAs ${lora.toFixed(4)}, all: ${toIndex(models, found, false).toFixed(4)}`);
  return dense >= LEAST_INDEX;
}

/** Mixtures that are harder than the whole. */
interface Variant {
  readonly title: string;
  readonly kind: "loras" | "dense";
  readonly choose: (model: ZooModel, index: number) => boolean;
  readonly options?: DiscoverOptions;
}

const attention = "denoiser.blocks.1.attn";
const all = (): boolean => true;

const variants: readonly Variant[] = [
  { title: "full models", kind: "dense", choose: all },
  { title: "full models, by `to_out`", kind: "dense", choose: all, options: { layer: `${attention}.to_out` } },
  { title: "every 20th full model", kind: "dense", choose: (_, index) => index % 20 === 0 },
  { title: "LoRAs, by all four modules", kind: "loras", choose: all },
  ...["to_q", "to_k", "to_v", "to_out"].map((name): Variant => {
    return {
      title: `LoRAs, by \`${name}\` alone`,
      kind: "loras",
      choose: all,
      options: { layer: `${attention}.${name}` },
    };
  }),
  { title: "every 4th LoRA", kind: "loras", choose: (_, index) => index % 4 === 0 },
  { title: "every 8th LoRA", kind: "loras", choose: (_, index) => index % 8 === 0 },
];

/** Against the trees that the models were made in, nested ones counted apart or with their parents. */
function toIndex(models: readonly ZooModel[], { trees: found }: Discovery, nested: boolean): number {
  const roots = new Map<number, number>();
  const labels = new Map<string, number>();
  for (const { id, parent, group, members } of found) {
    roots.set(id, nested ? id : (roots.get(parent ?? id) ?? id));
    for (const { model } of members) labels.set(group.locations[model] ?? "", roots.get(id) ?? id);
  }
  return adjustedRandIndex(
    models.map(({ location }) => labels.get(location) ?? -1),
    models.map(({ tree }) => (nested ? tree.name : (tree.of ?? tree.name))),
  );
}

/** Per tree of the mixture, the trees that its models are found in. */
function toRows(models: readonly ZooModel[], { trees: found }: Discovery): string[][] {
  const labels = new Map(
    found.flatMap(({ id, parent, group, members }) => {
      const name = parent === undefined ? `${id}` : `${id} in ${parent}`;
      return members.map(({ model }) => [group.locations[model] ?? "", name] as const);
    }),
  );
  return zooTrees.map((tree) => {
    const own = models.filter((model) => model.tree === tree);
    const counts = new Map<string, number>();
    for (const { location } of own) {
      const label = labels.get(location) ?? "none";
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    const places = [...counts].map(([label, count]) => `tree ${label}: ${count}`).join(", ");
    const width = tree.width === undefined ? "" : `, ${tree.width} wide`;
    return [tree.name, `${tree.kind === "dense" ? "full" : "LoRA"}${width}`, String(own.length), places];
  });
}
