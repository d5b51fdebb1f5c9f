import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "../src/linalg/random.js";
import { encodeSafetensors } from "../src/weights/safetensors-writer.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { runChild } from "./child-process.js";
import type { DiscoveryCost } from "./discovery-child.js";
import { withFolder } from "./fixtures.js";
import { printVerdicts, toMarkdownTable, toMebibytes } from "./report.js";

const MOST_SECONDS = 120;
const LEAST_INDEX = 0.99;

/** How does finding trees grow with the number of models? */
export const discoveryScale: Bench = {
  summary: "time and peak memory of finding the trees among up to 10,000 models",
  options: {
    counts: { help: "numbers of models", fallback: "1000,2000,5000,10000" },
    width: { help: "rows and columns of their layer", fallback: "128" },
    bases: { help: "trees that they are of", fallback: "8" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const counts = options.text("counts").split(",").map(Number);
  const most = Math.max(...counts);
  await writeModels(folder, most, options.count("width"), options.count("bases"));
  const costs: DiscoveryCost[] = [];
  for (const count of counts) {
    const child = fileURLToPath(new URL("./discovery-child.js", import.meta.url));
    const [line = "{}"] = await runChild({ program: process.execPath, args: [child, folder, String(count)] });
    costs.push(JSON.parse(line));
    console.error(line);
  }
  const heading = [
    "models",
    "reading, s",
    "trees, s",
    "nested, s",
    "all, s",
    "processor, s",
    "peak, MiB",
    "found",
    "ARI",
  ];
  const rows = costs.map((cost) => [
    cost.models.toLocaleString("en"),
    ...[cost.readSeconds, cost.treeSeconds, cost.nestedSeconds, toSeconds(cost), cost.cpuSeconds].map((s) =>
      s.toFixed(1),
    ),
    ...[toMebibytes(cost.peakBytes), String(cost.trees), cost.index.toFixed(4)],
  ]);
  console.log(`${toMarkdownTable(heading, rows)}\n`);
  const largest = costs.find(({ models }) => models === most);
  const seconds = largest === undefined ? Number.POSITIVE_INFINITY : toSeconds(largest);
  const index = Math.min(...costs.map((cost) => cost.index));
  return printVerdicts([
    [seconds <= MOST_SECONDS, `${most} models in ${seconds.toFixed(1)} s`, `<= ${MOST_SECONDS} s`],
    [index >= LEAST_INDEX, `ARI ${index.toFixed(4)} or more`, `>= ${LEAST_INDEX}`],
  ]);
}

function toSeconds({ readSeconds, treeSeconds, nestedSeconds }: DiscoveryCost): number {
  return readSeconds + treeSeconds + nestedSeconds;
}

/** Models of one square layer each: bases, and fine-tunes 20-fold near or far, trees of the most different sizes mixed. */
async function writeModels(folder: string, count: number, width: number, bases: number): Promise<void> {
  const random = new Random(1);
  const trees = Array.from({ length: bases }, () => random.spread(width * width, 0.02));
  for (let at = 0; at < count; at++) {
    // Half of the models are of the first tree, a quarter of the second…
    const tree = Math.min(bases - 1, Math.floor(-Math.log2(1 - random.next())));
    const change = random.spread(width * width, 0.02 * 0.4 * 20 ** -random.next());
    const values = change.map((value, i) => value + (trees[tree]?.[i] as number));
    const bytes = new Uint8Array(values.buffer);
    const file = encodeSafetensors([{ name: "layer.weight", dtype: "F32", shape: [width, width], bytes }]);
    const name = join(folder, `model_${String(at).padStart(6, "0")}`, `tree_${tree}`);
    await mkdir(name, { recursive: true });
    await writeFile(join(name, "model.safetensors"), file);
  }
}
