import { compareText } from "../../compare-text.js";
import type { Filter } from "../../filter.js";
import type { Hit, VectorQueries } from "../../vector-store.js";
import type { Database, Row } from "./database.js";
import type { Extensions } from "./find-extensions.js";
import type { SpaceTable } from "./space-table.js";
import { SqlValues } from "./sql-values.js";
import { toFilterSql } from "./to-filter-sql.js";
import { toComparable, toVectorBytes } from "./vector-bytes.js";

/** Queries in one statement, joined by UNION ALL: Citus takes no LATERAL. */
const queriesPerStatement = 16;

/**
 * Rows that an index is asked for beyond those wanted, so that ties at the end are seen. Where they all tie, as among many
 * copies of one model, the query is answered from all rows.
 */
const tieRows = 16;

/**
 * Of the rows that an index looks at for a query, at least so many times as are wanted should pass the filter. Recall@10 of
 * 100,000 × 512 under a filter of 10 % was 0.977 to 0.99 with half of it, and 0.92 with an eighth.
 */
const effort = 8;
/** Least and most that pgvector's `ef_search` is set to; the most is its own. Without a filter 100 found all. */
const [leastEffort, mostEffort] = [100, 1000];

/** Share of the rows below which a filter makes an index useless: all rows that pass are compared then. */
const leastShare = 0.05;
/** Rows that are compared rather than looked for among all, if the index of metadata finds them. */
const mostCompared = 20_000;

interface NearRow extends Row {
  readonly query: number;
  readonly id: string;
  readonly distance: number;
}

/** What EXPLAIN says of a statement, as far as it is looked at. */
interface Plan {
  readonly "Node Type": string;
  readonly "Plan Rows": number;
}

/** How a search goes: through the index, with so many rows looked at, or through all rows. */
type Mode = { readonly isExact: true } | { readonly isExact: false; readonly share: number };

/** Queries that were seen to be right, of a space. */
export interface SpaceSearch extends VectorQueries {
  readonly count: number;
}

/**
 * Finds the nearest rows of each query, ordered by cosine and id. Several connections share the work.
 *
 * @param isIndexed whether the space has an index of representations.
 */
export async function searchSpace(
  search: SpaceSearch,
  space: SpaceTable,
  isIndexed: boolean,
  database: Database,
  extensions: Extensions,
): Promise<readonly (readonly Hit[])[]> {
  const { count, k, minCosine = Number.NEGATIVE_INFINITY, exact = false, filter } = search;
  search.signal?.throwIfAborted();
  // Where one part fails, the others are of no use.
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, ...(search.signal === undefined ? [] : [search.signal])]);
  const mode: Mode = exact || !isIndexed ? { isExact: true } : await chooseMode(filter, space, database, search.signal);
  const results = new Array<readonly NearRow[]>(count);

  const answer = async (queries: readonly number[], mode: Mode): Promise<void> => {
    const values = new SqlValues();
    const sql = toSearchSql(search, queries, space, mode, values, extensions);
    const settings = toSettings(mode, k, extensions);
    const rows = await database.transaction(({ query }) => query<NearRow>(sql, values.all), {
      settings,
      signal,
      isRepeatable: true,
    });
    const byQuery = new Map(queries.map((query): [number, NearRow[]] => [query, []]));
    for (const row of rows) byQuery.get(row.query)?.push(row);
    const tied: number[] = [];
    for (const [query, found] of byQuery) {
      found.sort((a, b) => a.distance - b.distance || compareText(a.id, b.id));
      const [last, beyond] = [found[k - 1], found[k + tieRows - 1]];
      if (!mode.isExact && last !== undefined && last.distance === beyond?.distance) tied.push(query);
      else results[query] = found.slice(0, k);
    }
    if (tied.length > 0) await answer(tied, { isExact: true });
  };

  const parts = Array.from({ length: Math.ceil(count / queriesPerStatement) }, (_, part) =>
    Array.from(
      { length: Math.min(queriesPerStatement, count - part * queriesPerStatement) },
      (_, i) => part * queriesPerStatement + i,
    ),
  );
  // One iterator for all: each takes the next part that none has taken. Half of the connections are left to others.
  const rest = parts.values();
  const work = async (): Promise<void> => {
    try {
      for (const part of rest) await answer(part, mode);
    } catch (error) {
      stopping.abort(error);
      throw error;
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.floor(database.maxConnections / 2)) }, work));
  return results.map((rows) =>
    rows
      // pgvector computes the cosine, and gives 1 less it.
      .map(({ id, distance }) => ({ id, cosine: Math.min(1, Math.max(-1, 1 - distance)) }))
      .filter(({ cosine }) => cosine >= minCosine),
  );
}

/**
 * By the planner's word, which knows the spread of values, tells whether enough rows pass a filter for the index of
 * representations to find them, or so few that it is quicker to find all that pass.
 */
async function chooseMode(
  filter: Filter | undefined,
  { table }: SpaceTable,
  database: Database,
  signal: AbortSignal | undefined,
): Promise<Mode> {
  if (filter === undefined) return { isExact: false, share: 1 };
  const plan = async (where: string, values: SqlValues): Promise<Plan> => {
    const [row] = await database.read<{ "QUERY PLAN": readonly { readonly Plan: Plan }[] }>(
      `EXPLAIN (FORMAT JSON) SELECT 1 FROM ${table} WHERE ${where}`,
      values.all,
      signal,
    );
    return row?.["QUERY PLAN"][0]?.Plan ?? { "Node Type": "", "Plan Rows": 0 };
  };
  const values = new SqlValues();
  const where = toFilterSql(filter, values);
  const [some, all] = await Promise.all([plan(where, values), plan("TRUE", new SqlValues())]);
  const share = Math.min(1, some["Plan Rows"] / Math.max(1, all["Plan Rows"]));
  const isFound = some["Node Type"] === "Bitmap Heap Scan" && some["Plan Rows"] <= mostCompared;
  return share < leastShare || isFound ? { isExact: true } : { isExact: false, share };
}

function toSearchSql(
  { vectors, k, filter }: SpaceSearch,
  queries: readonly number[],
  { table, width }: SpaceTable,
  mode: Mode,
  values: SqlValues,
  { vectorSchema }: Extensions,
): string {
  const where = filter === undefined ? "" : `WHERE ${toFilterSql(filter, values)}`;
  const parts = queries.map((query) => {
    const bytes = toVectorBytes(toComparable(vectors.subarray(query * width, (query + 1) * width)));
    const distance = `embedding OPERATOR(${vectorSchema}.<=>) ${values.add(bytes)}::${vectorSchema}.vector`;
    // An index gives rows by distance alone; ties are seen to afterwards.
    const order = mode.isExact ? `distance, id LIMIT ${k}` : `${distance} LIMIT ${k + tieRows}`;
    return `(SELECT ${query} AS query, id, ${distance} AS distance FROM ${table} ${where} ORDER BY ${order})`;
  });
  return parts.join(" UNION ALL ");
}

function toSettings(mode: Mode, k: number, { hasIterativeScan, isCitus }: Extensions): readonly string[] {
  // Compiling a statement takes longer than running it.
  const always = [...(isCitus ? ["citus.propagate_set_commands = 'local'"] : []), "jit = off"];
  // Bitmap scans stay: they find the rows of a filter, and pgvector's index knows none.
  if (mode.isExact) return [...always, "enable_indexscan = off"];
  const wanted = Math.ceil((effort * k) / mode.share);
  const search = [...always, `hnsw.ef_search = ${Math.min(mostEffort, Math.max(leastEffort, wanted))}`];
  if (!hasIterativeScan) return search;
  const most = Math.max(20_000, 5 * wanted);
  return [...search, "hnsw.iterative_scan = strict_order", `hnsw.max_scan_tuples = ${most}`];
}
