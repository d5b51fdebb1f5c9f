import { InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { assertFields, assertId } from "../vectors/assert-records.js";
import { quoteText } from "../vectors/assert-text.js";
import { compareText } from "../vectors/compare-text.js";
import type { VectorRecord } from "../vectors/vector-record.js";
import type { RecordRange, VectorStore } from "../vectors/vector-store.js";
import { assertCount } from "./assert-count.js";
import { recordBytes, toFullRecord, toModelRecord } from "./model-records.js";
import { fromPageToken, toPageToken } from "./page-token.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { FullRecord, ModelRecord, RetrievalPort } from "./retrieval-port.js";
import { type KnownSpace, readSpaceDirectory } from "./space-directory.js";
import { readStoredModels } from "./stored-models.js";

/** The models of a catalogue, and what can be done with them. */
export type ManageModels = Pick<RetrievalPort, "getModels" | "listModels" | "updateModel" | "deleteModels">;

/** Models per page, where nothing is said, and at most. */
const defaultPageSize = 100;
const maxPageSize = 1000;

/** Bytes of records after which a page ends, so that answers stay below the 4 MiB that gRPC clients receive. */
const maxPageBytes = 2 * 1024 * 1024;

/** Records of a page that are read at a time: with the longest metadata and claims they take 4 MiB. */
const recordsPerStep = 32;

/** Bytes of a page under way: what it holds, its last step, and the message made of it. */
const pageMemory = 4 * maxPageBytes;

/** Creates the use cases. */
export function createManageModels({ store, catalogue, limits, gate, admit }: RetrievalContext): ManageModels {
  const spacesOf = async (references: readonly string[]): Promise<readonly KnownSpace[]> => {
    const { all, find } = await readSpaceDirectory(store, catalogue);
    if (references.length === 0) return all;
    const named = new Set(references.map(find));
    return all.filter((space) => named.has(space));
  };

  /** Records of a model in all spaces, ordered by space id. */
  const recordsOf = async (modelId: string): Promise<readonly ModelRecord[]> => {
    const spaces = await spacesOf([]);
    const records = await Promise.all(
      spaces.map(async ({ info }): Promise<ModelRecord[]> => {
        const [record] = await store.get(info.spaceId, [modelId], { vectors: false });
        return record === undefined ? [] : [toModelRecord(info.spaceId, record)];
      }),
    );
    return records.flat().sort((a, b) => compareText(a.spaceId, b.spaceId));
  };

  return {
    getModels: async ({ modelIds = [], weightsHashes = [], spaces: references = [] }) => {
      assertCount(modelIds.length + weightsHashes.length, limits.maxQueries, "model ids and hashes");
      for (const id of modelIds) assertId(id, "a model id");
      for (const hash of weightsHashes) assertHash(hash);
      const bytes = (modelIds.length + weightsHashes.length) * 16 * 1024;
      return gate.run(bytes, `${modelIds.length + weightsHashes.length} models`, undefined, async () => {
        const spaces = (await spacesOf(references)).toSorted((a, b) => compareText(a.info.spaceId, b.info.spaceId));
        const idsOfHashes = await Promise.all(
          spaces.map(
            async ({ info }) => [info.spaceId, await store.findByWeights(info.spaceId, weightsHashes)] as const,
          ),
        );
        const byHash = new Map(idsOfHashes);
        const wanted = spaces.map(({ info: { spaceId } }) => {
          return [spaceId, new Set([...modelIds, ...(byHash.get(spaceId)?.values() ?? [])])] as const;
        });
        const stored = await readStoredModels(store, new Map(wanted));
        const toRecords = (idIn: (spaceId: string) => string | undefined): readonly FullRecord[] =>
          spaces.flatMap(({ info: { spaceId } }) => {
            const id = idIn(spaceId);
            const record = id === undefined ? undefined : stored.get(spaceId)?.get(id);
            return record === undefined ? [] : [toFullRecord(spaceId, record)];
          });
        return [
          ...modelIds.flatMap((id) => toRecords(() => id)),
          ...weightsHashes.flatMap((hash) => toRecords((spaceId) => byHash.get(spaceId)?.get(hash))),
        ];
      });
    },

    listModels: async ({ space: reference, filter, pageSize = defaultPageSize, pageToken = "" }) => {
      const { spaceId } = (await readSpaceDirectory(store, catalogue)).find(reference).info;
      const listing = { spaceId, filter };
      const after = pageToken === "" ? undefined : fromPageToken(listing, pageToken);
      const limit = Math.min(pageSize || defaultPageSize, maxPageSize);
      assertPageSize(limit);
      const release = admit(pageMemory, "a page of models", "batch");
      try {
        const { page, hasMore } = await readPage(store, spaceId, { after, limit, filter });
        const last = page.at(-1);
        return {
          records: page.map((record) => toFullRecord(spaceId, record)),
          nextPageToken: last !== undefined && hasMore ? toPageToken(listing, last.id) : "",
        };
      } finally {
        release();
      }
    },

    updateModel: async (modelId, patch) => {
      assertId(modelId, "model_id");
      const [current] = await recordsOf(modelId);
      if (current === undefined) throw modelMissing(modelId);
      const changed = Object.entries({ ...current.metadata, ...patch }).filter(([, value]) => value !== null);
      assertFields(Object.fromEntries(changed), `the metadata of ${quoteText(modelId)}`, limits.maxMetadataBytes);
      if (!(await store.updateMetadata(modelId, patch))) throw modelMissing(modelId);
      return recordsOf(modelId);
    },

    deleteModels: async (modelIds, reference) => {
      assertCount(modelIds.length, limits.maxQueries, "model ids");
      for (const id of modelIds) assertId(id, "a model id");
      const spaceId =
        reference === undefined || reference === ""
          ? undefined
          : (await readSpaceDirectory(store, catalogue)).find(reference).info.spaceId;
      return store.delete([...new Set(modelIds)], spaceId);
    },
  };
}

/** As many records as a page holds, one at least. They are read in steps, so that long ones are not read by the thousand. */
async function readPage(
  store: VectorStore,
  spaceId: string,
  { after, limit, filter }: RecordRange,
): Promise<{ readonly page: readonly VectorRecord[]; readonly hasMore: boolean }> {
  const page: VectorRecord[] = [];
  let bytes = 0;
  for (;;) {
    // One more than the page has room for tells whether there is another.
    const wanted = Math.min(recordsPerStep, limit + 1 - page.length);
    const records = await store.list(spaceId, { after: page.at(-1)?.id ?? after, limit: wanted, filter });
    for (const record of records) {
      const own = recordBytes(record);
      const isFull = page.length === limit || (page.length > 0 && bytes + own > maxPageBytes);
      if (isFull) return { page, hasMore: true };
      page.push(record);
      bytes += own;
    }
    if (records.length < wanted) return { page, hasMore: false };
  }
}

function assertPageSize(found: number): void {
  if (Number.isInteger(found) && found >= 1) return;
  throw new InvalidInputError("FIELD_INVALID", `page_size is ${found}; it is a whole number, and 0 stands for 100`);
}

function assertHash(hash: string): void {
  if (/^[0-9a-f]{64}$/.test(hash)) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `a hash of weights is ${quoteText(hash)}; it has 64 digits of 0-9 and a-f`,
  );
}

function modelMissing(id: string): NotFoundError {
  return new NotFoundError("MODEL_NOT_FOUND", `the catalogue has no model ${quoteText(id)}`, { modelId: id });
}
