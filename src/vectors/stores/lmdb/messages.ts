import type { PlainError } from "../../../errors/plain-error.js";
import type { KnownFields } from "../../field-value.js";
import type { Filter } from "../../filter.js";
import type { NewRecord, VectorRecord } from "../../vector-record.js";
import type {
  CountedSpace,
  KeepKnown,
  MetadataPatch,
  RecordRange,
  SpaceSpec,
  SpaceStatus,
} from "../../vector-store.js";

/** Calls that a worker answers: by name, what goes and what comes. */
export type Calls = Readonly<Record<string, { readonly request: unknown; readonly response: unknown }>>;

/** Records on their way to a worker: their representations lie behind one another. */
export interface PackedRecords {
  readonly rows: readonly Omit<NewRecord, "vector">[];
  readonly lengths: readonly number[];
  readonly vectors: Float32Array<ArrayBuffer>;
}

/** Calls of the worker that reads and writes the log. */
export interface LogCalls {
  readonly ensureSpace: { request: { readonly spec: SpaceSpec; readonly fill: boolean }; response: SpaceStatus };
  readonly countSpaces: { request: null; response: readonly CountedSpace[] };
  readonly switchSpaces: {
    request: { readonly serve: readonly string[]; readonly retire: readonly string[] };
    response: null;
  };
  readonly dropSpace: { request: string; response: null };
  readonly upsert: {
    request: {
      readonly spaceId: string;
      readonly records: PackedRecords;
      readonly keepKnown: KeepKnown | undefined;
    };
    response: null;
  };
  readonly updateMetadata: { request: { readonly id: string; readonly patch: MetadataPatch }; response: boolean };
  readonly delete: {
    request: { readonly ids: readonly string[]; readonly spaceId: string | undefined };
    response: number;
  };
  readonly get: {
    request: { readonly spaceId: string; readonly ids: readonly string[]; readonly vectors: boolean };
    response: readonly (VectorRecord | undefined)[];
  };
  readonly list: {
    request: { readonly spaceId: string; readonly range: RecordRange };
    response: readonly VectorRecord[];
  };
  readonly findByWeights: {
    request: { readonly spaceId: string; readonly hashes: readonly string[] };
    response: ReadonlyMap<string, string>;
  };
  readonly fields: { request: string; response: KnownFields };
  readonly compact: { request: null; response: null };
  /** Copies the whole store to a file that is not there. */
  readonly snapshot: { request: string; response: null };
}

/** Queries on their way to the worker that searches. */
export interface SearchRequest {
  readonly spaceId: string;
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly k: number;
  readonly filter: Filter | undefined;
  readonly minCosine: number | undefined;
  /** Its first number is not 0 once nobody waits for the answer any more; shared memory. */
  readonly gone: Int32Array;
}

/** Hits of all queries, one query's behind another's. */
export interface PackedHits {
  readonly counts: readonly number[];
  readonly ids: readonly string[];
  readonly cosines: Float64Array;
}

/** Calls of the worker that searches. */
export interface SearchCalls {
  /** Reads the spaces that serve into memory. */
  readonly warm: { request: null; response: null };
  readonly search: { request: SearchRequest; response: PackedHits };
}

/** What goes to a worker: a call, or the wish that it ends. */
export type ToWorker =
  | { readonly call: number; readonly name: string; readonly request: unknown }
  | { readonly call: undefined };

/** What comes from a worker: it is ready, or does not start, or an answer. */
export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly error: PlainError }
  | { readonly type: "answer"; readonly call: number; readonly response: unknown }
  | { readonly type: "error"; readonly call: number; readonly error: PlainError };
