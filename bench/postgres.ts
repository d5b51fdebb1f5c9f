import { randomUUID } from "node:crypto";
import type { Filter } from "../src/vectors/filter.js";
import { openDatabase } from "../src/vectors/stores/postgres/database.js";
import { openPostgresStore } from "../src/vectors/stores/postgres/open-postgres-store.js";
import type { Hit, VectorStore } from "../src/vectors/vector-store.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { removePlace } from "./crash-postgres.js";
import { quantile, toMarkdownTable, toVerdict } from "./report.js";
import { requirePostgres } from "./require-postgres.js";
import { createVectorData, type VectorData } from "./vector-data.js";

const k = 10;
const leastRecall = 0.98;
const recordsPerBatch = 1000;
const batchQueries = 64;

const filters: readonly { readonly name: string; readonly filter: Filter | undefined }[] = [
  { name: "no filter", filter: undefined },
  { name: "10 %, equal", filter: { field: "meta.one_in_10", op: "eq", value: 0 } },
  { name: "10 %, below", filter: { field: "meta.one_in_100", op: "lt", value: 10 } },
  { name: "6 %, below", filter: { field: "meta.one_in_100", op: "lt", value: 6 } },
  { name: "1 %, equal", filter: { field: "meta.one_in_100", op: "eq", value: 0 } },
];

/** What does the store on PostgreSQL find, and how fast? */
export const postgres: Bench = {
  summary: "the store on PostgreSQL: loading, making the index, recall and latency with and without filters",
  options: {
    rows: { help: "records", fallback: "100000" },
    width: { help: "numbers per representation", fallback: "512" },
    queries: { help: "queries one by one, through the index", fallback: "300" },
    exact: { help: "of these, compared with all records; at most --queries", fallback: "100" },
  },
  run: measure,
};

async function measure(options: BenchOptions): Promise<boolean> {
  const place = { connectionString: requirePostgres(), schema: `bench_${randomUUID().slice(0, 8)}` };
  const [rows, width] = [options.count("rows"), options.count("width")];
  const data = createVectorData(width);
  const store = await openPostgresStore({ ...place, indexIdleMs: 24 * 3600 * 1000 });
  try {
    await store.ensureSpace(data.space, { fill: true });
    const seconds = await load(store, data, rows);
    const indexing = await time(() => store.switchSpaces({ serve: [data.space.spaceId], retire: [] }));
    const compacting = await time(() => store.compact());
    console.log(`- ${rows} records × ${width}, k ${k}; ${await describe(place)}`);
    console.log(`- loaded in batches of ${recordsPerBatch}: ${Math.round(rows / seconds)} records/s`);
    console.log(
      `- index made in ${(indexing / 1000).toFixed(1)} s, vacuum and statistics ${(compacting / 1000).toFixed(1)} s`,
    );
    const again = Array.from({ length: recordsPerBatch }, (_, row) => data.record(row));
    const batch = await time(() => store.upsert(data.space.spaceId, again));
    const singles: number[] = [];
    for (const record of again.slice(0, 50)) singles.push(await time(() => store.upsert(data.space.spaceId, [record])));
    console.log(
      `- written into the indexed space: ${Math.round((1000 * recordsPerBatch) / batch)} records/s in a batch, one in ${quantile(singles, 0.5).toFixed(1)} ms (p50)\n`,
    );
    const recalls = await compare(store, data, rows, options);
    for (const [name, recall] of recalls) {
      console.log(toVerdict(recall >= leastRecall, `${name}: recall@${k} ${recall.toFixed(4)}`, `>= ${leastRecall}`));
    }
    return [...recalls.values()].every((recall) => recall >= leastRecall);
  } finally {
    await store.close();
    await removePlace(JSON.stringify(place));
  }
}

async function load(store: VectorStore, data: VectorData, rows: number): Promise<number> {
  let ms = 0;
  for (let begin = 0; begin < rows; begin += recordsPerBatch) {
    const count = Math.min(recordsPerBatch, rows - begin);
    const records = Array.from({ length: count }, (_, index) => data.record(begin + index));
    ms += await time(() => store.upsert(data.space.spaceId, records));
    if ((begin / recordsPerBatch) % 20 === 19) console.error(`${begin + count} records written`);
  }
  return ms / 1000;
}

/** Searches through the index and through all records; prints a table, and gives the recall under each filter. */
async function compare(
  store: VectorStore,
  { space, fill }: VectorData,
  rows: number,
  options: BenchOptions,
): Promise<ReadonlyMap<string, number>> {
  const { spaceId, width } = space;
  const [count, exactCount] = [options.count("queries"), Math.min(options.count("exact"), options.count("queries"))];
  const queries = Array.from({ length: count }, (_, query) => {
    const vector = new Float32Array(width);
    fill(rows + query, vector);
    return vector;
  });
  const recalls = new Map<string, number>();
  const table: string[][] = [];
  for (const { name, filter } of filters) {
    const run = async (vectors: Float32Array, exact: boolean): Promise<readonly (readonly Hit[])[]> =>
      store.search(spaceId, { vectors, k, filter, exact });
    await run(queries[0] ?? new Float32Array(width), false);
    const [found, truth]: [(readonly Hit[])[], (readonly Hit[])[]] = [[], []];
    const [times, exactTimes]: [number[], number[]] = [[], []];
    for (const vector of queries) times.push(await time(async () => found.push(...(await run(vector, false)))));
    for (const vector of queries.slice(0, exactCount))
      exactTimes.push(await time(async () => truth.push(...(await run(vector, true)))));
    const batch = new Float32Array(batchQueries * width);
    for (let i = 0; i < batchQueries; i++) batch.set(queries[i % count] ?? [], i * width);
    const batchMs = await time(() => run(batch, false));
    const recall = toRecall(found.slice(0, exactCount), truth);
    recalls.set(name, recall);
    table.push([
      name,
      recall.toFixed(4),
      ...[quantile(times, 0.5), quantile(times, 0.99), batchMs].map((ms) => ms.toFixed(1)),
      ...[quantile(exactTimes, 0.5), quantile(exactTimes, 0.99)].map((ms) => ms.toFixed(1)),
    ]);
  }
  const head = [
    "filter",
    `recall@${k}`,
    "p50, ms",
    "p99, ms",
    `${batchQueries} queries at once, ms`,
    "exact p50, ms",
    "exact p99, ms",
  ];
  console.log(`${toMarkdownTable(head, table)}\n`);
  return recalls;
}

/** Share of the nearest that were found, counted by cosine: records that tie may take each other's place. */
function toRecall(found: readonly (readonly Hit[])[], truth: readonly (readonly Hit[])[]): number {
  let [hit, wanted] = [0, 0];
  for (const [query, best] of truth.entries()) {
    const least = (best.at(-1)?.cosine ?? 2) - 1e-9;
    wanted += best.length;
    hit += Math.min(best.length, (found[query] ?? []).filter(({ cosine }) => cosine >= least).length);
  }
  return wanted === 0 ? 1 : hit / wanted;
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function describe(place: { readonly connectionString: string; readonly schema: string }): Promise<string> {
  const database = openDatabase({ ...place, maxConnections: 1 });
  try {
    const [row] = await database.read<{ server: string; vector: string; heap: string; total: string }>(
      `SELECT current_setting('server_version') AS server,
              (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector,
              pg_size_pretty(pg_relation_size($1)) AS heap, pg_size_pretty(pg_total_relation_size($1)) AS total`,
      [`${database.schema}.records_1`],
    );
    return `PostgreSQL ${row?.server}, pgvector ${row?.vector}, rows ${row?.heap}, with indexes ${row?.total}`;
  } finally {
    await database.close();
  }
}
