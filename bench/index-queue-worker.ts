/**
 * A worker of `index-queue`: takes jobs from the queue until all are done, embeds the model of each, and writes it to the
 * store. Prints `indexed LOCATION` once a record is written, `there LOCATION` where it was already, and `done LOCATION`.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openCatalogue } from "../src/experts/catalogue.js";
import type { TakenJob } from "../src/retrieval/job-queue.js";
import { openPostgresJobQueue } from "../src/retrieval/postgres-job-queue.js";
import { runJobs } from "../src/retrieval/run-jobs.js";
import { embedFiles } from "../src/search/embed-files.js";
import { startEmbedder } from "../src/search/embedder.js";
import { createLocalPort } from "../src/search/local-port.js";
import { openPostgresStore } from "../src/vectors/stores/postgres/open-postgres-store.js";

const { values: options } = parseArgs({
  options: {
    postgres: { type: "string", default: "" },
    schema: { type: "string", default: "" },
    experts: { type: "string", default: "" },
    "space-id": { type: "string", default: "" },
    concurrency: { type: "string", default: "" },
    "lease-ms": { type: "string", default: "" },
  },
});
const { schema, "space-id": spaceId } = options;
const place = { connectionString: options.postgres, schema, maxConnections: 6 };
const concurrency = Number(options.concurrency);
const store = await openPostgresStore(place);
const queue = await openPostgresJobQueue({ ...place, leaseMs: Number(options["lease-ms"]) });
const embedder = await startEmbedder({ catalogue: openCatalogue(options.experts), backend: "onnx", workerCount: 1 });
const port = createLocalPort(embedder);
try {
  await runJobs(queue, { work: index, concurrency, pollMs: 200, onDone: ({ location }) => print(`done ${location}`) });
} finally {
  await port.close();
  await queue.close();
  await store.close();
}

/** Done again, it does nothing: a record of these weights under this id is there. */
async function index({ location, options: { id } }: TakenJob, signal: AbortSignal): Promise<void> {
  const modelId = String(id);
  const weightsHash = createHash("sha256")
    .update(await readFile(location))
    .digest("hex");
  const [found] = await store.get(spaceId, [modelId]);
  if (found?.weightsHash === weightsHash) return print(`there ${location}`);
  for await (const { outcome } of embedFiles([location], port, { signal })) {
    if (outcome instanceof Error) throw outcome;
    for (const { representation } of outcome.embeddings) {
      const about = { fileHash: weightsHash, tree: "", base: "", metadata: {}, claims: {} };
      await store.upsert(spaceId, [{ id: modelId, vector: representation, weightsHash, ...about }]);
    }
  }
  print(`indexed ${location}`);
}

/** Writes at once: what is printed is not lost when the process is killed. */
function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
