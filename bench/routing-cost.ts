import { open } from "node:fs/promises";
import { join } from "node:path";
import { Random } from "../src/linalg/random.js";
import { connect } from "../src/rpc/client.js";
import { writeTree } from "../src/search/calibrate-expert.js";
import { embedFiles } from "../src/search/embed-files.js";
import { SKETCH_BUCKETS } from "../src/trees/sketches/sketch.js";
import { openSketchKernel } from "../src/trees/sketches/sketch-kernel.js";
import type { TreeCentroid } from "../src/trees/tree.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { median, toMarkdownTable, toSpread, toVerdict } from "./report.js";
import { type RunningServer, serveCommand, startServer } from "./start-server.js";

const LEAST_RATIO = 0.9;

interface Subject {
  readonly title: string;
  readonly server: RunningServer;
  readonly rates: number[];
  decidedBytes: number;
}

/** What does routing cost a stream? The same layer for one named expert, and for candidates of which the weights choose. */
export const routingCost: Bench = {
  summary: "rate of a stream with 8 and with 64 candidate trees, beside that with one named expert",
  options: {
    rows: { help: "rows of the layer; 16384 x 8192 float32 are 512 MiB", fallback: "16384" },
    columns: { help: "columns of the layer", fallback: "8192" },
    rounds: { help: "uploads per server, interleaved", fallback: "7" },
    trees: { help: "numbers of candidate trees", fallback: "8,64" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const [rows, columns] = [options.count("rows"), options.count("columns")];
  const counts = [0, ...options.text("trees").split(",").map(Number)];
  const path = join(folder, "model.safetensors");
  const own = await writeModel(path, rows, columns);
  const subjects: Subject[] = [];
  try {
    for (const count of counts) {
      const experts = join(folder, `experts-${count}`);
      for (let tree = 0; tree < Math.max(1, count); tree++) {
        const name = `tree-${tree}`;
        await writeExpert(join(experts, name), { rows, columns, representation: 16, seed: tree });
        const centroid = tree === 0 ? own : toOtherTree(own, tree);
        if (count > 0) await writeTree(join(experts, name), { name, models: 100, centroid });
      }
      const title = count === 0 ? "one expert, not calibrated" : `${count} candidate trees`;
      const server = await startServer(serveCommand({ experts, extra: ["--memory-budget", "6GiB"] }));
      subjects.push({ title, server, rates: [], decidedBytes: 0 });
      // Loads the experts.
      await upload(server.target, path);
    }
    const rounds = options.count("rounds");
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < subjects.length; turn++) {
        const subject = subjects[(round + turn) % subjects.length] as Subject;
        const { megabytesPerSecond, decidedBytes } = await upload(subject.server.target, path);
        subject.rates.push(megabytesPerSecond);
        subject.decidedBytes = decidedBytes;
        console.error(`round ${round + 1}: ${subject.title}: ${megabytesPerSecond.toFixed(0)} MB/s`);
      }
    }
    return report(subjects, 4 * rows * columns);
  } finally {
    await Promise.all(subjects.map(({ server }) => server.stop()));
  }
}

function report(subjects: readonly Subject[], bytes: number): boolean {
  const plain = median(subjects[0]?.rates ?? []);
  const table = subjects.map(({ title, rates, decidedBytes }) => [
    title,
    toSpread(rates, 0),
    (median(rates) / plain).toFixed(3),
    decidedBytes === 0 ? "–" : `${decidedBytes} (${((100 * decidedBytes) / bytes).toFixed(2)} %)`,
  ]);
  console.log(toMarkdownTable(["server", "MB/s", "share", "decided after bytes"], table));
  console.log("");
  const ratios = subjects.slice(1).map(({ title, rates }) => ({ title, ratio: median(rates) / plain }));
  for (const { title, ratio } of ratios) {
    console.log(
      toVerdict(ratio >= LEAST_RATIO, `${title}: ${ratio.toFixed(3)} of the rate without`, `>= ${LEAST_RATIO}`),
    );
  }
  return ratios.every(({ ratio }) => ratio >= LEAST_RATIO);
}

async function upload(target: string, path: string): Promise<{ megabytesPerSecond: number; decidedBytes: number }> {
  const client = connect({ target });
  try {
    const startedAt = performance.now();
    for await (const { outcome } of embedFiles([path], client)) {
      if (outcome instanceof Error) throw outcome;
      const seconds = (performance.now() - startedAt) / 1000;
      const decidedBytes = outcome.embeddings[0]?.tree?.decidedBytes ?? 0;
      return { megabytesPerSecond: outcome.bytesTotal / seconds / 1e6, decidedBytes };
    }
    throw new Error("no outcome");
  } finally {
    await client.close();
  }
}

/** Writes a model of one layer, some rows at a time, and gives the tree that it is the middle of. */
async function writeModel(path: string, rowCount: number, columnCount: number): Promise<TreeCentroid> {
  const kernel = await openSketchKernel();
  const sketch = kernel.create({ rowCount, columnCount });
  const random = new Random(1);
  const file = await open(path, "w");
  try {
    const data_offsets = [0, 4 * rowCount * columnCount];
    const header = JSON.stringify({ "layer.weight": { dtype: "F32", shape: [rowCount, columnCount], data_offsets } });
    const head = Buffer.alloc(8 + header.length);
    head.writeBigUInt64LE(BigInt(header.length));
    head.write(header, 8);
    await file.write(head);
    for (let row = 0; row < rowCount; row += 64) {
      const count = Math.min(64, rowCount - row);
      const bytes = new Uint8Array(random.spread(count * columnCount, 0.02).buffer);
      sketch.add({ bytes, dtype: "F32", rowBegin: row, rowCount: count });
      await file.write(bytes);
    }
  } finally {
    await file.close();
  }
  const { values, edges } = sketch;
  // Models of the tree lie at a tenth of its length, as evenly as its rows.
  const reach = 0.1 * Math.hypot(...values);
  const spread = Float64Array.from(
    edges.slice(1),
    (edge, block) => (reach ** 2 * (edge - (edges[block] as number))) / rowCount,
  );
  return { shape: { rowCount, columnCount }, values, spread, median: reach / 2, reach };
}

/** A tree of an ancestor that has nothing to do with it: numbers as large, with other signs. */
function toOtherTree(tree: TreeCentroid, seed: number): TreeCentroid {
  const random = new Random(1000 + seed);
  const values = tree.values.map((_, at) => {
    const block = Math.floor(at / SKETCH_BUCKETS);
    const energy = tree.values
      .subarray(block * SKETCH_BUCKETS, (block + 1) * SKETCH_BUCKETS)
      .reduce((sum, value) => sum + value * value, 0);
    return (random.next() - 0.5) * Math.sqrt((12 * energy) / SKETCH_BUCKETS);
  });
  return { ...tree, values };
}
