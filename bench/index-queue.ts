import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCatalogue } from "../src/experts/catalogue.js";
import { openPostgresJobQueue } from "../src/retrieval/postgres-job-queue.js";
import { openPostgresStore } from "../src/vectors/stores/postgres/open-postgres-store.js";
import { findModels } from "../src/weights/find-models.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type Child, startChild } from "./child-process.js";
import { removePlace } from "./crash-postgres.js";
import { withFolder, writeExpert, writeLoraModels } from "./fixtures.js";
import { printVerdicts, toMarkdownTable, type Verdict } from "./report.js";
import { requirePostgres } from "./require-postgres.js";

const layer = { module: "unet.attn.to_out", kind: "lora", rows: 64, columns: 48 } as const;

/** Do several workers index every file of a queue once, also if one of them is killed? */
export const indexQueue: Bench = {
  summary: "worker processes index files from a queue on PostgreSQL, and one of them is killed on the way",
  options: {
    files: { help: "files, LoRA models of 2 KB", fallback: "2400" },
    workers: { help: "worker processes", fallback: "4" },
    concurrency: { help: "files that a worker has at once", fallback: "16" },
    "lease-ms": { help: "how long a file stays a dead worker's, in milliseconds", fallback: "10000" },
    "kill-after": { help: "files indexed when the first worker is killed", fallback: "800" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

interface Work {
  readonly pid: number;
  readonly indexed: Map<string, number>;
  readonly there: Set<string>;
  done: number;
}

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const place = { connectionString: requirePostgres(), schema: `queue_${randomUUID().slice(0, 8)}` };
  const [experts, models, count] = [join(folder, "experts"), join(folder, "models"), options.count("files")];
  await writeExpert(join(experts, "bench"), { ...layer, probes: 16, projection: 16 });
  await writeLoraModels(models, { ...layer, count, rank: 4 });
  const [expert] = (await openCatalogue(experts).list()).experts;
  if (expert === undefined) throw new Error("no expert");
  const space = { spaceId: expert.spaceId, width: 128, expertName: expert.name };
  const store = await openPostgresStore(place);
  const queue = await openPostgresJobQueue({ ...place, leaseMs: options.count("lease-ms") });
  try {
    await store.ensureSpace(space);
    const paths: string[] = [];
    for await (const path of findModels([models])) paths.push(path);
    await queue.add(paths.map((location, index) => ({ location, options: { id: `model-${index}` } })));
    const started = performance.now();
    const works = await runWorkers(place, { experts, spaceId: space.spaceId }, options);
    const seconds = (performance.now() - started) / 1000;
    const counts = await queue.counts();
    const [info] = await store.countSpaces();
    const head = ["worker", "indexed", "found there", "completed"];
    const rows = works.map(({ indexed, there, done }, index) => [
      `${index + 1}${index === 0 ? " (killed)" : ""}`,
      ...[indexed.size, there.size, done].map(String),
    ]);
    console.log(toMarkdownTable(head, rows));
    const times = new Map<string, number>();
    for (const { indexed } of works)
      for (const [location, n] of indexed) times.set(location, (times.get(location) ?? 0) + n);
    const twice = [...times.values()].filter((n) => n > 1).length;
    console.log(
      `\n- ${count} files in ${seconds.toFixed(1)} s, starting the workers and the killed one's lease included`,
    );
    const verdicts: Verdict[] = [
      [
        counts.done === count && counts.failed + counts.waiting + counts.running === 0,
        JSON.stringify(counts),
        `${count} done`,
      ],
      [info?.count === count, `${info?.count} records in the store`, String(count)],
      [twice === 0, `${twice} files indexed twice`, "0"],
      [
        works[0] !== undefined && works[0].done < count / 2,
        `worker 1 was killed after ${works[0]?.done}`,
        "on the way",
      ],
    ];
    return printVerdicts(verdicts);
  } finally {
    await queue.close();
    await store.close();
    await removePlace(JSON.stringify(place));
    await removePlace(JSON.stringify({ ...place, schema: `${place.schema}_jobs` }));
  }
}

async function runWorkers(
  { connectionString, schema }: { readonly connectionString: string; readonly schema: string },
  { experts, spaceId }: { readonly experts: string; readonly spaceId: string },
  options: BenchOptions,
): Promise<readonly Work[]> {
  const program = fileURLToPath(new URL("./index-queue-worker.js", import.meta.url));
  const where = ["--postgres", connectionString, "--schema", schema, "--experts", experts, "--space-id", spaceId];
  const how = ["--concurrency", options.text("concurrency"), "--lease-ms", options.text("lease-ms")];
  const children = await Promise.all(
    Array.from({ length: options.count("workers") }, () =>
      startChild({ program: process.execPath, args: [program, ...where, ...how] }),
    ),
  );
  const killAfter = options.count("kill-after");
  let [total, killed] = [0, false];
  return Promise.all(
    children.map(async (child: Child, index): Promise<Work> => {
      const work: Work = { pid: child.pid, indexed: new Map(), there: new Set(), done: 0 };
      for await (const line of child.lines) {
        const [word = "", location = ""] = line.split(" ");
        if (word === "indexed") work.indexed.set(location, (work.indexed.get(location) ?? 0) + 1);
        if (word === "there") work.there.add(location);
        if (word === "done") work.done++;
        if (word !== "indexed" || ++total < killAfter || killed) continue;
        killed = true;
        children[0]?.signal("SIGKILL");
      }
      const code = await child.ended;
      if (code !== 0 && index !== 0) throw new Error(`worker ${index + 1} ended with ${code}: ${child.errorText()}`);
      return work;
    }),
  );
}
