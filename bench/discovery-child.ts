import { adjustedRandIndex } from "../src/trees/discovery/adjusted-rand-index.js";
import { discoverTrees } from "../src/trees/discovery/discover-trees.js";
import { findModels } from "../src/weights/find-models.js";

/** What discovery took; printed as one line of JSON. */
export interface DiscoveryCost {
  readonly models: number;
  readonly trees: number;
  /** Against the trees that the models' folders name. */
  readonly index: number;
  readonly readSeconds: number;
  readonly treeSeconds: number;
  readonly nestedSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** `node discovery-child.js FOLDER COUNT`: finds the trees of the first models of a folder, in a process of its own. */
const [folder = ".", count = "0"] = process.argv.slice(2);
const locations: string[] = [];
const startedAt = performance.now();
for await (const location of findModels([folder])) if (locations.length < Number(count)) locations.push(location);
const stages: number[] = [];
const { trees } = await discoverTrees(locations, { onStage: () => stages.push(performance.now()) });
const endedAt = performance.now();
const [read = endedAt, clustered = endedAt] = stages;
const found = trees.flatMap(({ id, group, members }) =>
  members.map(({ model }) => [group.locations[model] ?? "", id] as const),
);
const usage = process.resourceUsage();
const cost: DiscoveryCost = {
  models: found.length,
  trees: trees.length,
  index: adjustedRandIndex(
    found.map(([, id]) => id),
    found.map(([location]) => /tree_\d+/.exec(location)?.[0] ?? ""),
  ),
  readSeconds: (read - startedAt) / 1000,
  treeSeconds: (clustered - read) / 1000,
  nestedSeconds: (endedAt - clustered) / 1000,
  cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
  // Linux counts it in KiB.
  peakBytes: usage.maxRSS * 1024,
};
console.log(JSON.stringify(cost));
