import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCatalogue } from "../src/experts/catalogue.js";
import { calibrateExpert } from "../src/search/calibrate-expert.js";
import { embedFiles } from "../src/search/embed-files.js";
import { startEmbedder } from "../src/search/embedder.js";
import { createLocalPort } from "../src/search/local-port.js";
import { findLoraPairs } from "../src/weights/lora-pairs.js";
import { openModel } from "../src/weights/model-file.js";
import { readTensors } from "../src/weights/safetensors-file.js";
import { encodeSafetensors } from "../src/weights/safetensors-writer.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type Disturbance, disturbances, draw } from "./disturbances.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { printVerdicts, toMarkdownTable, type Verdict } from "./report.js";
import { repositoryRoot } from "./repository-root.js";
import { openTreeZoo } from "./tree-zoo.js";
import { growWideTrees, wideTrees } from "./wide-trees.js";

/** Models of one tree, some to calibrate on and others to route. */
interface Tree {
  readonly name: string;
  readonly parent?: string;
  readonly calibration: readonly string[];
  readonly heldOut: readonly string[];
}

/** Trees whose layers have the same shape: the weights must tell. */
interface Group {
  readonly title: string;
  readonly module: string;
  readonly kind: "dense" | "lora";
  readonly isWide: boolean;
  readonly trees: readonly Tree[];
}

const LARGE_BYTES = 16 * 1024 * 1024;

/** Do models reach the expert of their tree, and foreign ones none? Through the stream, as an upload does. */
export const routing: Bench = {
  summary: "models routed to their tree's expert, foreign ones refused, under what people do to files",
  options: {
    count: { help: "models of each tree of the mixture", fallback: "100" },
    "wide-count": { help: "models of each tree with a layer of 16 MiB", fallback: "24" },
    probes: { help: "r_U and r_V of the experts, whose parameters are random", fallback: "16" },
    cache: { help: "folder that models are kept in", fallback: join(repositoryRoot, ".cache", "trees") },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const say = (line: string): void => console.error(line);
  const [cache, count] = [options.text("cache"), options.count("count")];
  const models = await openTreeZoo(cache, { count, demoCount: count }, say);
  const wide = await growWideTrees(join(cache, "wide"), options.count("wide-count"), say);
  const toTree = (name: string, all: readonly string[], parent?: string): Tree => {
    const order = draw(all, all.length, 7);
    const half = Math.ceil(0.6 * all.length);
    return {
      name,
      calibration: order.slice(0, half),
      heldOut: order.slice(half),
      ...(parent !== undefined && { parent }),
    };
  };
  const ofZoo = (kind: "dense" | "loras", width?: number): Tree[] => {
    const trees = [...new Set(models.map(({ tree }) => tree))].filter(
      (tree) => tree.kind === kind && tree.width === width,
    );
    return trees.map((tree) => {
      const own = models.filter((model) => model.tree === tree).map(({ location }) => location);
      return toTree(tree.name, own, tree.of);
    });
  };
  const attention = "denoiser.blocks.1.attn.to_out";
  const groups: Group[] = [
    { title: "full fine-tunes, 32 x 32", module: attention, kind: "dense", isWide: false, trees: ofZoo("dense") },
    {
      title: "full fine-tunes, 2048 x 2048",
      module: "m.fc",
      kind: "dense",
      isWide: true,
      trees: wideTrees.map(({ name, of }) => toTree(name, wide.get(name) ?? [], of)),
    },
    { title: "LoRAs, 64 x 64", module: attention, kind: "lora", isWide: false, trees: ofZoo("loras") },
  ];
  const verdicts: boolean[] = [];
  for (const [index, group] of groups.entries()) {
    const found = await measureGroup(join(folder, String(index)), group, options.count("probes"), say);
    console.log(
      `\n### ${group.title}: ${group.trees.map(({ name, parent }) => (parent === undefined ? name : `${name} (in ${parent})`)).join(", ")}\n`,
    );
    const head = [
      "weights",
      "models",
      "right",
      "wrong tree",
      "refused",
      "rerouted",
      "decided by 5 % of the bytes",
      "foreign models",
      "foreign refused",
    ];
    console.log(toMarkdownTable(head, found.map(toRow)));
    if (group.kind === "dense") verdicts.push(judge(group, found));
  }
  return verdicts.every((met) => met);
}

/** Counts of one disturbance. */
interface Counts {
  readonly title: string;
  routed: number;
  right: number;
  wrong: number;
  refused: number;
  rerouted: number;
  early: number;
  foreign: number;
  foreignRefused: number;
}

async function measureGroup(
  folder: string,
  group: Group,
  probes: number,
  say: (line: string) => void,
): Promise<Counts[]> {
  const experts = join(folder, "experts");
  for (const [seed, { name, parent, calibration }] of group.trees.entries()) {
    const shape = await shapeOf(calibration[0] ?? "", group);
    const { module, kind } = group;
    const path = join(experts, name);
    await writeExpert(path, { ...shape, module, kind, probes, projection: probes, representation: 32, seed });
    await calibrateExpert(path, calibration, { name, ...(parent !== undefined && { parent }) });
    say(`${group.title}: calibrated ${name} on ${calibration.length} models`);
  }
  const counts: Counts[] = [];
  for (const disturbance of disturbances) {
    const zero = { routed: 0, right: 0, wrong: 0, refused: 0, rerouted: 0, early: 0, foreign: 0, foreignRefused: 0 };
    const count: Counts = { title: disturbance.title, ...zero };
    const files = new Map<string, string[]>();
    for (const { name, heldOut } of group.trees)
      files.set(name, await disturb(join(folder, disturbance.title, name), heldOut, disturbance));
    await route(experts, group, files, count);
    // A tree is foreign where neither it, nor one it is in, nor one inside it is known.
    for (const tree of group.trees.filter(({ parent }) => parent === undefined)) {
      const kept = group.trees.filter((other) => rootOf(group, other) !== tree.name);
      if (kept.length === 0) continue;
      const some = join(folder, `${disturbance.title} without ${tree.name}`);
      await mkdir(some, { recursive: true });
      for (const { name } of kept) await symlink(join(experts, name), join(some, name));
      await routeForeign(some, group, tree, files, count);
    }
    counts.push(count);
    say(`${group.title}: ${disturbance.title}`);
  }
  return counts;
}

function rootOf({ trees }: Group, tree: Tree): string {
  const parent = trees.find(({ name }) => name === tree.parent);
  return parent === undefined ? tree.name : rootOf({ trees } as Group, parent);
}

async function route(
  experts: string,
  { trees }: Group,
  files: ReadonlyMap<string, readonly string[]>,
  count: Counts,
): Promise<void> {
  const port = createLocalPort(await startEmbedder({ catalogue: openCatalogue(experts), backend: "onnx" }));
  try {
    for (const { name } of trees) {
      for await (const { outcome } of embedFiles(files.get(name) ?? [], port)) {
        count.routed++;
        if (outcome instanceof Error) {
          if (!("reason" in outcome) || outcome.reason !== "NO_EXPERT") throw outcome;
          count.refused++;
          continue;
        }
        const [embedding] = outcome.embeddings;
        const match = embedding?.tree;
        if (embedding?.expertName === name) count.right++;
        else count.wrong++;
        // An upload that was sent again names its expert, and has no second nearest.
        if (match?.next === undefined) count.rerouted++;
        if (match?.decidedBytes !== undefined && match.decidedBytes <= 0.05 * outcome.bytesTotal) count.early++;
      }
    }
  } finally {
    await port.close();
  }
}

async function routeForeign(
  experts: string,
  group: Group,
  tree: Tree,
  files: ReadonlyMap<string, readonly string[]>,
  count: Counts,
): Promise<void> {
  const port = createLocalPort(await startEmbedder({ catalogue: openCatalogue(experts), backend: "onnx" }));
  try {
    const own = group.trees
      .filter((other) => rootOf(group, other) === tree.name)
      .flatMap(({ name }) => files.get(name) ?? []);
    for await (const { outcome } of embedFiles(own, port)) {
      count.foreign++;
      if (outcome instanceof Error && "reason" in outcome && outcome.reason === "NO_EXPERT") count.foreignRefused++;
    }
  } finally {
    await port.close();
  }
}

async function shapeOf(location: string, { module, kind }: Group): Promise<{ rows: number; columns: number }> {
  const model = await openModel(location);
  await model.close();
  const pair = findLoraPairs(model.tensors).pairs.find((one) => one.module === module);
  if (kind === "lora" && pair !== undefined) return { rows: pair.outWidth, columns: pair.inWidth };
  const [rows = 0, columns = 0] = model.tensors.get(`${module}.weight`)?.shape ?? [];
  return { rows, columns };
}

async function disturb(folder: string, files: readonly string[], { title, apply }: Disturbance): Promise<string[]> {
  if (title === disturbances[0]?.title) return [...files];
  await mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (const [index, file] of files.entries()) {
    const { tensors } = await readTensors(file);
    const path = join(folder, `${index}.safetensors`);
    await writeFile(path, encodeSafetensors([...tensors.values()].map(apply)));
    paths.push(path);
  }
  return paths;
}

function toRow({ title, routed, right, wrong, refused, rerouted, early, foreign, foreignRefused }: Counts): string[] {
  const share = (part: number, whole: number): string => (whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`);
  const parts = [right, wrong, refused, rerouted, early].map((part) => share(part, routed));
  return [title, String(routed), ...parts, String(foreign), share(foreignRefused, foreign)];
}

function judge({ title, isWide }: Group, found: readonly Counts[]): boolean {
  const [plain, ...disturbed] = found;
  if (plain === undefined) return false;
  const check = (met: boolean, measured: string, wanted: string): Verdict => [met, `${title}: ${measured}`, wanted];
  console.log("");
  const share = (part: number, whole: number): number => part / Math.max(1, whole);
  const least = share(plain.right, plain.routed) - 0.01;
  return printVerdicts([
    check(plain.right === plain.routed, `${plain.right} of ${plain.routed} to their tree's expert`, "all"),
    check(share(plain.refused, plain.routed) <= 0.01, `${plain.refused} of ${plain.routed} refused`, "<= 1 %"),
    check(
      share(plain.foreignRefused, plain.foreign) >= 0.99,
      `${plain.foreignRefused} of ${plain.foreign} foreign refused`,
      ">= 99 %",
    ),
    ...disturbed.map((one) =>
      check(
        share(one.right, one.routed) >= least,
        `${one.title}: ${one.right} of ${one.routed} right`,
        "within a point",
      ),
    ),
    ...disturbed.map((one) =>
      check(
        share(one.foreignRefused, one.foreign) >= 0.98,
        `${one.title}: ${one.foreignRefused} of ${one.foreign} foreign refused`,
        ">= 98 %",
      ),
    ),
    ...(isWide
      ? [
          check(
            share(plain.early, plain.routed) >= 0.95,
            `${plain.early} of ${plain.routed} decided by 5 % of ${LARGE_BYTES} bytes`,
            ">= 95 %",
          ),
        ]
      : []),
  ]);
}
