import { Random } from "../src/linalg/random.js";
import type { NewRecord } from "../src/vectors/vector-record.js";
import type { SpaceSpec, VectorStore } from "../src/vectors/vector-store.js";

/** Streams of changes that run side by side, each one change after another, on models of its own. */
export const laneCount = 3;
/** Models of a lane. */
const modelsPerLane = 120;
/** Records of an upsert, at most. */
const mostRecords = 50;

/** The spaces that are written to. */
export const crashSpaces: readonly SpaceSpec[] = [
  { spaceId: "a".repeat(64), width: 48, expertName: "first" },
  { spaceId: "b".repeat(64), width: 16, expertName: "second" },
];

/** A change of a store. */
export type Operation =
  | { readonly type: "upsert"; readonly spaceId: string; readonly records: readonly NewRecord[] }
  | { readonly type: "update"; readonly id: string; readonly patch: Readonly<Record<string, number | null>> }
  | { readonly type: "delete"; readonly ids: readonly string[]; readonly spaceId: string | undefined }
  | { readonly type: "compact" };

/** Records by space and id: what a store is expected to hold. */
export type Model = ReadonlyMap<string, ReadonlyMap<string, NewRecord>>;

/** The change at a place of a lane: the same for the same seed, so that it need not be told between processes. */
export function createOperation(seed: number, lane: number, index: number): Operation {
  const random = new Random((seed * 0x9e3779b1 + lane * 0x85ebca6b + index * 0xc2b2ae35) >>> 0);
  const below = (end: number): number => Math.floor(random.next() * end);
  const toId = (): string => `lane-${lane}/model-${below(modelsPerLane)}`;
  const toIds = (count: number): string[] => [...new Set(Array.from({ length: count }, toId))];
  const kind = random.next();
  if (kind < 0.6) {
    const { spaceId, width } = crashSpaces[below(crashSpaces.length)] as SpaceSpec;
    const records = toIds(1 + below(mostRecords)).map(
      (id): NewRecord => ({
        id,
        vector: random.spread(width, 1),
        weightsHash: random.next() < 0.5 ? "" : below(16).toString(16).repeat(64),
        fileHash: "",
        tree: `tree-${below(3)}`,
        base: "",
        metadata: { index, [`f${below(4)}`]: below(1000) },
        claims: { note: "x".repeat(below(2000)) },
        createdMs: index,
        updatedMs: index,
      }),
    );
    return { type: "upsert", spaceId, records };
  }
  if (kind < 0.78)
    return { type: "update", id: toId(), patch: { [`f${below(4)}`]: random.next() < 0.3 ? null : index } };
  if (kind < 0.97 || lane !== 0) {
    const spaceId = random.next() < 0.5 ? undefined : crashSpaces[below(crashSpaces.length)]?.spaceId;
    return { type: "delete", ids: toIds(1 + below(20)), spaceId };
  }
  return { type: "compact" };
}

/** Makes a change in a store. */
export async function runOperation(store: VectorStore, operation: Operation): Promise<void> {
  switch (operation.type) {
    case "upsert":
      return store.upsert(operation.spaceId, operation.records);
    case "update":
      await store.updateMetadata(operation.id, operation.patch);
      return;
    case "delete":
      await store.delete(operation.ids, operation.spaceId);
      return;
    case "compact":
      return store.compact();
  }
}

/** What is there after a change. */
export function applyOperation(model: Model, operation: Operation): Model {
  const next = new Map([...model].map(([spaceId, records]) => [spaceId, new Map(records)]));
  switch (operation.type) {
    case "upsert":
      for (const record of operation.records) next.get(operation.spaceId)?.set(record.id, record);
      break;
    case "update":
      for (const records of next.values()) {
        const record = records.get(operation.id);
        if (record === undefined) continue;
        const changed = Object.entries({ ...record.metadata, ...operation.patch }).filter(
          ([, value]) => value !== null,
        );
        records.set(operation.id, { ...record, metadata: Object.fromEntries(changed) as NewRecord["metadata"] });
      }
      break;
    case "delete":
      for (const [spaceId, records] of next) {
        if (operation.spaceId !== undefined && operation.spaceId !== spaceId) continue;
        for (const id of operation.ids) records.delete(id);
      }
      break;
    case "compact":
      break;
  }
  return next;
}

/** A record in one line, without the time of its last change, which the store decides. */
export function toLine(spaceId: string, record: NewRecord): string {
  const { id, vector, weightsHash, tree, metadata, claims, createdMs } = record;
  const fields = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([spaceId, id, [...vector], weightsHash, tree, fields, claims["note"]?.length, createdMs]);
}

/** All records of a model, in lines in some order. */
export function toLines(model: Model): ReadonlySet<string> {
  return new Set([...model].flatMap(([spaceId, records]) => [...records.values()].map((one) => toLine(spaceId, one))));
}

/** Nothing in all spaces. */
export function createModel(): Model {
  return new Map(crashSpaces.map(({ spaceId }) => [spaceId, new Map<string, NewRecord>()]));
}
