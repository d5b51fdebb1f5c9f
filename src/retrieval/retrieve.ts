import { ProbestreamError } from "../errors/probestream-error.js";
import type { VectorRecord } from "../vectors/vector-record.js";
import { assertCount } from "./assert-count.js";
import { defaultHits, maxHits } from "./limits.js";
import type { SpaceHit } from "./merge-hits.js";
import { recordBytes, toModelRecord } from "./model-records.js";
import { prepareQueries } from "./prepare-queries.js";
import type { PreparedQuery } from "./prepared-query.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { ModelHit, QueryHits, RetrievalQuery } from "./retrieval-port.js";
import { searchQueries } from "./search-queries.js";
import { type StoredModels, visitStoredModels } from "./stored-models.js";

/** How a batch is retrieved. */
export interface RetrieveOptions {
  readonly withRecords?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of one hit while a batch is answered: what the store gives, what is merged, and the message; measured some 300. */
const bytesPerHit = 400;

/** Bytes of one query with its vectors, in a space of 512 numbers. */
const bytesPerQuery = 8 * 1024;

/** Bytes of one record of a hit that are reserved beforehand; longer metadata has the rest reserved as it is read. */
const bytesPerRecord = 2 * 1024;

/** Bytes that are reserved at a time for records that are longer. */
const reservedAtOnce = 1024 * 1024;

/** Finds models for a batch of queries: the use case behind `RetrievalPort.retrieve`. */
export async function retrieve(
  queries: readonly RetrievalQuery[],
  context: RetrievalContext,
  { withRecords = false, signal }: RetrieveOptions,
): Promise<readonly (QueryHits | ProbestreamError)[]> {
  assertCount(queries.length, context.limits.maxQueries, "queries");
  const bytes = queries.reduce((sum, { k = defaultHits }) => sum + bytesOf(k, withRecords), 0);
  return context.gate.run(bytes, `a batch of ${queries.length} queries`, signal, async () => {
    const prepared = await prepareQueries(queries, context, signal);
    const sound = prepared.filter((one): one is PreparedQuery => !(one instanceof ProbestreamError));
    const found = await searchQueries(context, sound, signal);
    const releases: (() => void)[] = [];
    try {
      const records = withRecords ? await readRecords(context, found, releases, signal) : undefined;
      let next = 0;
      return prepared.map((query) => {
        if (query instanceof ProbestreamError) return query;
        const hits = found[next++] ?? [];
        if (hits instanceof ProbestreamError) return hits;
        const { skipped, truncated, unknownWords } = query;
        return { hits: hits.flatMap((hit) => toModelHit(hit, records)), skipped, truncated, unknownWords };
      });
    } finally {
      for (const release of releases) release();
    }
  });
}

function bytesOf(k: number, withRecords: boolean): number {
  const hits = Math.min(maxHits, Math.max(0, Math.trunc(k) || 0));
  return bytesPerQuery + hits * (bytesPerHit + (withRecords ? bytesPerRecord : 0));
}

/** Records of hits, without representations. What they take beyond what is reserved for hits is reserved into `releases`. */
async function readRecords(
  { store, admit }: RetrievalContext,
  found: readonly (readonly SpaceHit[] | ProbestreamError)[],
  releases: (() => void)[],
  signal: AbortSignal | undefined,
): Promise<StoredModels> {
  const wanted = new Map<string, Set<string>>();
  for (const hits of found) {
    if (hits instanceof ProbestreamError) continue;
    for (const { spaceId, modelId } of hits) {
      const ids = wanted.get(spaceId) ?? new Set();
      wanted.set(spaceId, ids.add(modelId));
    }
  }
  const records = new Map([...wanted.keys()].map((spaceId) => [spaceId, new Map<string, VectorRecord>()]));
  let room = [...wanted.values()].reduce((sum, ids) => sum + ids.size, 0) * bytesPerRecord;
  const keep = (spaceId: string, record: VectorRecord): void => {
    records.get(spaceId)?.set(record.id, record);
    room -= recordBytes(record);
    if (room >= 0) return;
    const bytes = Math.max(reservedAtOnce, -room);
    releases.push(admit(bytes, "records of hits with long metadata", "batch"));
    room += bytes;
  };
  await visitStoredModels(store, wanted, keep, signal);
  return records;
}

/** Nothing for a model that was deleted since it was found. */
function toModelHit({ modelId, spaceId, cosine, score }: SpaceHit, records: StoredModels | undefined): ModelHit[] {
  const hit = { modelId, spaceId, cosine, ...(score !== undefined && { score }) };
  if (records === undefined) return [hit];
  const record = records.get(spaceId)?.get(modelId);
  return record === undefined ? [] : [{ ...hit, record: toModelRecord(spaceId, record) }];
}
