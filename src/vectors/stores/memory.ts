import { dot } from "../../linalg/dot.js";
import { lengthOf } from "../../linalg/unit.js";
import { applyPatch } from "../apply-patch.js";
import { assertQueries, assertRange } from "../assert-queries.js";
import { assertPatch, assertRecords } from "../assert-records.js";
import { assertSameWidth, assertSpace, assertSwitch, toSpaceMissing } from "../assert-space.js";
import { compareSpaces, toOwnFirst } from "../compare-spaces.js";
import { compareText } from "../compare-text.js";
import { copyRecord } from "../copy-record.js";
import { namedFields, type ScalarType, toScalarType } from "../field-value.js";
import { matchFilter } from "../match-filter.js";
import { mergeKnown } from "../merge-known.js";
import { toRecord } from "../to-record.js";
import type { NewRecord, VectorRecord } from "../vector-record.js";
import type { Hit, SpaceSpec, SpaceState, SpaceStatus, VectorStore } from "../vector-store.js";

interface Space extends SpaceSpec {
  state: SpaceState;
  readonly records: Map<string, VectorRecord>;
}

/**
 * A store in memory, and gone with the process: the plainest that keeps the promises of {@link VectorStore}. Others are
 * compared with it; its searches compute each cosine by itself, in float64.
 */
export function createMemoryStore(): VectorStore {
  const spaces = new Map<string, Space>();
  const find = (spaceId: string): Space => {
    const space = spaces.get(spaceId);
    if (space === undefined) throw toSpaceMissing(spaceId);
    return space;
  };
  /** What is known of models: by the space that they go to, else by the first other one that has them. */
  const knownOf = (own: Space, wanted: readonly NewRecord[]): Map<string, VectorRecord> => {
    const order = toOwnFirst(own, [...spaces.values()]);
    const found = wanted.flatMap(({ id }) => order.find(({ records }) => records.has(id))?.records.get(id) ?? []);
    return new Map(found.map((record) => [record.id, record]));
  };

  return {
    description: "memory",
    ensureSpace: async (spec, { fill = false } = {}) => {
      assertSpace(spec);
      const found = spaces.get(spec.spaceId);
      if (found !== undefined) assertSameWidth(found, spec);
      const space = found ?? { ...spec, state: fill ? "filling" : "serving", records: new Map() };
      spaces.set(spec.spaceId, space);
      return toStatus(space);
    },
    listSpaces: async () =>
      [...spaces.values()]
        .map((space) => ({ ...toStatus(space), isEmpty: space.records.size === 0 }))
        .sort(compareSpaces),
    countSpaces: async () =>
      [...spaces.values()]
        .map((space) => ({ ...toStatus(space), count: space.records.size, indexed: space.records.size }))
        .sort(compareSpaces),
    switchSpaces: async (change) => {
      assertSwitch(change);
      const serve = change.serve.map(find);
      const retire = change.retire.map(find);
      for (const space of serve) space.state = "serving";
      for (const space of retire) space.state = "retired";
    },
    dropSpace: async (spaceId) => {
      find(spaceId);
      spaces.delete(spaceId);
    },
    upsert: async (spaceId, given, { keepKnown } = {}) => {
      const space = find(spaceId);
      const { records: kept } = space;
      assertRecords(given, space.width);
      const nowMs = Date.now();
      const records = keepKnown === undefined ? given : mergeKnown(given, knownOf(space, given), keepKnown, nowMs);
      const written = records.map((record) => copyRecord(toRecord(record, kept.get(record.id), nowMs)));
      for (const record of written) kept.set(record.id, record);
    },
    updateMetadata: async (id, patch) => {
      assertPatch(id, patch);
      const nowMs = Date.now();
      const changes = [...spaces.values()].flatMap(({ records }) => {
        const record = records.get(id);
        if (record === undefined) return [];
        return [{ records, record: { ...record, metadata: applyPatch(record, patch), updatedMs: nowMs } }];
      });
      for (const { records, record } of changes) records.set(id, record);
      return changes.length > 0;
    },
    delete: async (ids, spaceId) => {
      const from = spaceId === undefined ? [...spaces.values()] : [find(spaceId)];
      const there = new Set(ids.filter((id) => from.some(({ records }) => records.has(id))));
      for (const { records } of from) for (const id of there) records.delete(id);
      return there.size;
    },
    get: async (spaceId, ids, { vectors = true } = {}) => {
      const { records } = find(spaceId);
      return ids.map((id) => {
        const record = records.get(id);
        return record && copyRecord(vectors ? record : { ...record, vector: new Float32Array(0) });
      });
    },
    list: async (spaceId, range) => {
      const space = find(spaceId);
      assertRange(range, toFields(space));
      const { after, limit, filter } = range;
      return [...space.records.values()]
        .filter((record) => after === undefined || compareText(record.id, after) > 0)
        .filter((record) => filter === undefined || matchFilter(filter, record))
        .sort((a, b) => compareText(a.id, b.id))
        .slice(0, limit)
        .map(copyRecord);
    },
    findByWeights: async (spaceId, weightsHashes) => {
      const wanted = new Set(weightsHashes.filter((hash) => hash !== ""));
      const found = [...find(spaceId).records.values()].filter(({ weightsHash }) => wanted.has(weightsHash));
      // The first id of a hash is written last, and stays.
      found.sort((a, b) => compareText(b.id, a.id));
      return new Map(found.map(({ weightsHash, id }) => [weightsHash, id]));
    },
    search: async (spaceId, queries) => {
      const space = find(spaceId);
      const { width } = space;
      const count = assertQueries(queries, width, toFields(space));
      const { vectors, k, filter, minCosine = Number.NEGATIVE_INFINITY, signal } = queries;
      signal?.throwIfAborted();
      const records = [...space.records.values()].filter(
        (record) => filter === undefined || matchFilter(filter, record),
      );
      return Array.from({ length: count }, (_, query): readonly Hit[] => {
        const vector = vectors.subarray(query * width, (query + 1) * width);
        return records
          .map((record) => ({ id: record.id, cosine: toCosine(vector, record.vector) }))
          .filter(({ cosine }) => cosine >= minCosine)
          .sort((a, b) => b.cosine - a.cosine || compareText(a.id, b.id))
          .slice(0, k);
      });
    },
    fields: async (spaceId) => toFields(find(spaceId)),
    hasFields: async (spaceId, fields) => {
      const known = toFields(find(spaceId));
      return new Set(fields.filter((field) => known.has(field)));
    },
    compact: async () => {},
    close: async () => spaces.clear(),
  };
}

function toStatus({ spaceId, width, expertName, state }: Space): SpaceStatus {
  return { spaceId, width, expertName, state };
}

function toFields({ records }: Space): Map<string, ScalarType[]> {
  const fields = new Map<string, Set<ScalarType>>();
  for (const record of records.values()) {
    for (const [field, value] of namedFields(record)) {
      fields.set(field, (fields.get(field) ?? new Set()).add(toScalarType(value)));
    }
  }
  return new Map([...fields].map(([field, types]) => [field, [...types]]));
}

/** Cosine of two vectors, neither all zeros, in float64. */
function toCosine(a: Float32Array, b: Float32Array): number {
  return Math.min(1, Math.max(-1, dot(a, b) / (lengthOf(a) * lengthOf(b))));
}
