import { InvalidInputError } from "../errors/probestream-error.js";
import { assertFields } from "../vectors/assert-records.js";
import { quoteText } from "../vectors/assert-text.js";
import type { NewRecord, VectorRecord } from "../vectors/vector-record.js";
import { assertCount } from "./assert-count.js";
import { toKeptClaims } from "./kept-claims.js";
import { recordBytes, toFullRecord } from "./model-records.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { FullRecord, RetrievalPort } from "./retrieval-port.js";
import { readSpaceDirectory } from "./space-directory.js";

/** Ways of records out of a catalogue and into it. */
export type TransferModels = Pick<RetrievalPort, "exportModels" | "importModels">;

/** Records that are read from the store at a time: at first, and at most where they are short. */
const [firstRecords, mostRecords] = [32, 200];

/** Bytes of records that are read from the store at a time, about. */
const readBytes = 2 * 1024 * 1024;

/** Bytes of records in one batch of an export: messages of 4 MiB are received everywhere. */
const batchBytes = 1024 * 1024;

/** Most records in one batch of an import, which is written whole. */
const maxImportRecords = 1000;

/** Bytes of an export under way: records that were read, and messages made of them. */
const exportBytes = 8 * 1024 * 1024;

/** Bytes of an import under way: three messages of 4 MiB, and what is made of one. */
const importBytes = 16 * 1024 * 1024;

/** Creates the use cases. */
export function createTransferModels({ store, catalogue, limits, admit }: RetrievalContext): TransferModels {
  return {
    exportModels: async function* exportModels({ space: reference, filter }, signal) {
      const { spaceId } = (await readSpaceDirectory(store, catalogue)).find(reference).info;
      const release = admit(exportBytes, "an export", "batch");
      try {
        let after: string | undefined;
        let limit = firstRecords;
        for (;;) {
          signal?.throwIfAborted();
          const records = await store.list(spaceId, { after, limit, filter });
          const sizes = records.map(recordBytes);
          for (const batch of toBatches(records, sizes)) {
            yield batch.map((record): FullRecord => toFullRecord(spaceId, record));
            signal?.throwIfAborted();
          }
          after = records.at(-1)?.id;
          if (records.length < limit) return;
          const mean = sizes.reduce((sum, size) => sum + size, 0) / records.length;
          limit = Math.max(1, Math.min(mostRecords, Math.floor(readBytes / mean)));
        }
      } finally {
        release();
      }
    },

    importModels: async ({ spaceId, expertName, fill = false }, batches, signal) => {
      const release = admit(importBytes, "an import", "batch");
      try {
        let isThere = false;
        let count = 0;
        for await (const records of batches) {
          signal?.throwIfAborted();
          assertCount(records.length, maxImportRecords, "records in one message");
          const kept = records.map((record) => toKept(record));
          if (!isThere) {
            const width = records[0]?.vector.length ?? 0;
            if (width === 0) throw noRepresentation(records[0]);
            await store.ensureSpace({ spaceId, expertName, width }, { fill });
            isThere = true;
          }
          await store.upsert(spaceId, kept);
          count += new Set(records.map(({ id }) => id)).size;
        }
        return count;
      } finally {
        release();
      }
    },
  };

  function toKept(record: NewRecord): NewRecord {
    assertFields(record.metadata, `the metadata of ${quoteText(record.id)}`, limits.maxMetadataBytes);
    return { ...record, claims: toKeptClaims(record.claims, limits.maxClaimBytes) };
  }
}

/** @param sizes bytes of each record. */
function* toBatches(records: readonly VectorRecord[], sizes: readonly number[]): Generator<readonly VectorRecord[]> {
  let batch: VectorRecord[] = [];
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    const own = sizes[index] ?? 0;
    if (batch.length > 0 && bytes + own > batchBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += own;
  }
  if (batch.length > 0) yield batch;
}

function noRepresentation(record: NewRecord | undefined): InvalidInputError {
  return new InvalidInputError(
    "SHAPE_MISMATCH",
    `the first record, ${quoteText(record?.id ?? "")}, has no representation; an import takes them as an export gives them`,
  );
}
