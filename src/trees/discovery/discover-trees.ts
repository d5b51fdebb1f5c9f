import { takeMostUnlike } from "./choose-tree-count.js";
import { type Clustering, clusterSketches } from "./cluster-sketches.js";
import { describeGroups, type TreeExtent } from "./describe-groups.js";
import { type ClusterSettings, findNestedTrees, findTrees, leastModelsOf } from "./find-trees.js";
import { type ReadModelsOptions, readModels, type SignatureGroup, type SkippedModel } from "./read-models.js";

/** A Model Tree that was found. */
export interface DiscoveredTree extends TreeExtent {
  /** From 1, the largest first; a nested tree follows the one that it is nested in. */
  readonly id: number;
  /** Of the tree that it is nested in. */
  readonly parent?: number;
  readonly group: SignatureGroup;
  /** Models of the tree and of all that are nested in it; `members` are its own only. */
  readonly total: number;
}

/** What a pile of models holds. */
export interface Discovery {
  readonly groups: readonly SignatureGroup[];
  readonly trees: readonly DiscoveredTree[];
  readonly skipped: readonly SkippedModel[];
}

/** Options of {@link discoverTrees}. */
export interface DiscoverOptions extends ReadModelsOptions {
  /** Trees that are wanted, nested ones not counted; by default the data decides. Each signature is one at least. */
  readonly trees?: number | undefined;
  /** Whether trees nested in trees are looked for. Default true. */
  readonly nested?: boolean | undefined;
  /** Models of a signature that are clustered at once, see `findTrees`. Default {@link MOST_AT_ONCE}. */
  readonly mostAtOnce?: number | undefined;
  /** Hears what begins after reading. */
  readonly onStage?: ((stage: "distances" | "nested") => void) | undefined;
}

/** Distances of so many models take 288 MB. */
export const MOST_AT_ONCE = 12_000;

/**
 * Clusters a pile of models into Model Trees: sets of models fine-tuned from one ancestor. Models of different signatures
 * are of different trees; of one signature, those whose weights have nothing in common.
 *
 * Memory: sketches (64 MiB, or 2 KiB a model) three times, and 4 bytes per pair of at most `mostAtOnce` models.
 * Time: each layer is read once; then O(n²) per signature up to `mostAtOnce` models, and linear beyond.
 *
 * @throws the signal's reason; UnavailableError `BACKEND_UNAVAILABLE` without onnxruntime-node. Models that cannot be
 * read are in `skipped`.
 * @see Horwitz et al., CVPR 2025, https://arxiv.org/abs/2410.13569, on Model Trees; Gueta et al., Knowledge is a region
 * in weight space, 2023, https://arxiv.org/abs/2302.04863, on fine-tunes of one base lying close together.
 */
export async function discoverTrees(locations: readonly string[], options: DiscoverOptions = {}): Promise<Discovery> {
  const { trees: count, nested = true, mostAtOnce = MOST_AT_ONCE, signal, onStage } = options;
  const { groups, skipped } = await readModels(locations, options);
  onStage?.("distances");
  const labels = await labelGroups(groups, { mostAtOnce, signal }, count);
  if (nested) onStage?.("nested");
  const found: FoundTree[] = [];
  for (const [at, group] of groups.entries()) {
    const own = labels[at] as Int32Array;
    const trees = nested ? await nest(group, own, { kind: group.kind, mostAtOnce, signal }) : toFlat(own);
    const extents = describeGroups(group.sketches, trees.labels);
    for (const [label, extent] of extents.entries()) {
      found.push({ group, label, parentLabel: trees.parents[label] as number, extent });
    }
  }
  return { groups, skipped, trees: toOrder(found) };
}

async function labelGroups(
  groups: readonly SignatureGroup[],
  settings: Omit<ClusterSettings, "kind">,
  count: number | undefined,
): Promise<Int32Array[]> {
  const { mostAtOnce, signal } = settings;
  const clusterings: Clustering[] = [];
  for (const { sketches } of groups) {
    const all = Int32Array.from({ length: sketches.count }, (_, model) => model);
    clusterings.push(await clusterSketches(sketches, all, mostAtOnce, signal));
  }
  const sides = groups.map(({ kind }, at) => ({
    merges: clusterings[at]?.merges ?? [],
    leastModels: leastModelsOf(kind),
  }));
  const cuts = count === undefined ? undefined : takeMostUnlike(sides, count);
  const labels: Int32Array[] = [];
  for (const [at, clustering] of clusterings.entries()) {
    const { kind, sketches } = groups[at] as SignatureGroup;
    labels.push(await findTrees(sketches, { kind, ...settings }, clustering, cuts?.[at]));
  }
  return labels;
}

interface Labelled {
  readonly labels: Int32Array;
  /** Per label that of the tree that it is nested in, or -1. */
  readonly parents: readonly number[];
}

function toFlat(labels: Int32Array): Labelled {
  return {
    labels,
    parents: Array.from({ length: labels.reduce((most, label) => Math.max(most, label + 1), 0) }, () => -1),
  };
}

/** The same models, with trees inside trees; each group that is found is looked at again by itself. */
async function nest({ sketches }: SignatureGroup, labels: Int32Array, settings: ClusterSettings): Promise<Labelled> {
  const nested = new Int32Array(labels.length);
  const parents: number[] = [];
  const settle = async (models: Int32Array, parent: number): Promise<number> => {
    const groups = await findNestedTrees(sketches, models, settings);
    if (groups.parents.length < 2) {
      for (const model of models) nested[model] = parents.length;
      return parents.push(parent) - 1;
    }
    const members = split(models, groups.labels);
    const settled = new Map<number, number>([[-1, parent]]);
    // Whatever a group is nested in is settled before it.
    const settleGroup = async (group: number): Promise<number> => {
      const outer = groups.parents[group] as number;
      const label = await settle(members[group] as Int32Array, settled.get(outer) ?? (await settleGroup(outer)));
      settled.set(group, label);
      return label;
    };
    for (const group of members.keys()) if (!settled.has(group)) await settleGroup(group);
    return settled.get(groups.parents.indexOf(-1)) as number;
  };
  for (const models of split(Int32Array.from(labels.keys()), labels)) await settle(models, -1);
  return { labels: nested, parents };
}

/** The models of each label. */
function split(models: Int32Array, labels: Int32Array): Int32Array[] {
  const members: number[][] = [];
  for (const [at, label] of labels.entries()) {
    while (members.length <= label) members.push([]);
    members[label]?.push(models[at] as number);
  }
  return members.map((own) => Int32Array.from(own));
}

interface FoundTree {
  readonly group: SignatureGroup;
  readonly label: number;
  readonly parentLabel: number;
  readonly extent: TreeExtent;
}

/** Numbers trees: the largest first, each followed by what is nested in it. */
function toOrder(found: readonly FoundTree[]): DiscoveredTree[] {
  const places = new Map(found.map((tree) => [tree.group, new Map<number, FoundTree>()]));
  for (const tree of found) places.get(tree.group)?.set(tree.label, tree);
  const children = new Map<FoundTree | undefined, FoundTree[]>();
  for (const tree of found) {
    const parent = places.get(tree.group)?.get(tree.parentLabel);
    const siblings = children.get(parent) ?? [];
    siblings.push(tree);
    children.set(parent, siblings);
  }
  const totals = new Map<FoundTree, number>();
  const toTotal = (tree: FoundTree): number => {
    const nested = children.get(tree) ?? [];
    const total = nested.reduce((sum, child) => sum + toTotal(child), tree.extent.members.length);
    totals.set(tree, total);
    return total;
  };
  const bySize = (a: FoundTree, b: FoundTree): number => (totals.get(b) ?? 0) - (totals.get(a) ?? 0);
  const trees: DiscoveredTree[] = [];
  const add = (tree: FoundTree, parent: number | undefined): void => {
    const { group, extent } = tree;
    const id = trees.length + 1;
    trees.push({ id, ...(parent !== undefined && { parent }), group, total: totals.get(tree) ?? 0, ...extent });
    for (const child of (children.get(tree) ?? []).sort(bySize)) add(child, id);
  };
  const tops = children.get(undefined) ?? [];
  for (const top of tops) toTotal(top);
  for (const top of tops.sort(bySize)) add(top, undefined);
  return trees;
}
