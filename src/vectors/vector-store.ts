import type { Filter, Scalar } from "./filter.js";
import type { NewRecord, VectorRecord } from "./vector-record.js";

/** Space of representations of one expert. */
export interface SpaceSpec {
  /** Content hash of the expert, 64 lower-case hexadecimal digits. */
  readonly spaceId: string;
  /** Numbers per representation, r_T. */
  readonly width: number;
  /** The expert's name, for people. */
  readonly expertName: string;
}

/**
 * `filling`: takes records, is not searched until it is switched to; `serving`: takes records and is searched; `retired`:
 * was switched from, holds its records until it is dropped.
 */
export type SpaceState = "filling" | "serving" | "retired";

/** A space of a store. */
export interface SpaceStatus extends SpaceSpec {
  readonly state: SpaceState;
}

/** A space of a store, with what can be known of its records at once. */
export interface SpaceInfo extends SpaceStatus {
  readonly isEmpty: boolean;
}

/** A space of a store, with how many records it holds. */
export interface CountedSpace extends SpaceStatus {
  /** Records. */
  readonly count: number;
  /** Records that an approximate index holds; equal to `count` where search is exact. */
  readonly indexed: number;
}

/** Queries of one space, answered together. */
export interface VectorQueries {
  /** One query per row, row-major: queries × width. Their lengths do not matter. */
  readonly vectors: Float32Array;
  /** Records per query, at most; 1 to 10,000. */
  readonly k: number;
  readonly filter?: Filter | undefined;
  /** Cosine that a record has at least. */
  readonly minCosine?: number | undefined;
  /** Look at every record, also where there is an approximate index. */
  readonly exact?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A record that a query found. */
export interface Hit {
  readonly id: string;
  /** Cosine of query and record, -1 to 1. */
  readonly cosine: number;
}

/** Which records a listing gives. */
export interface RecordRange {
  /** Ids that come after this one. */
  readonly after?: string | undefined;
  /** Records at most. */
  readonly limit: number;
  readonly filter?: Filter | undefined;
}

/** A change of what the user said of a model; null takes a field away. */
export type MetadataPatch = Readonly<Record<string, Scalar | null>>;

/** How what is known of models stays when they are written again. */
export interface KeepKnown {
  /** Most bytes of one record's metadata with what stays of it, names and values, in UTF-8. */
  readonly maxMetadataBytes: number;
}

/**
 * Keeps representations with what is known of their models, and finds the nearest.
 *
 * Writes are durable and whole once their promise resolves; one that did not may have happened or not, and may be given
 * again. Ids order by their UTF-8 bytes, and equal cosines by id. Spaces are told apart by id: records of different spaces
 * never meet in a search.
 *
 * All that names a space throws NotFoundError `SPACE_NOT_FOUND` if the store has none of that id; filters throw
 * InvalidInputError `FIELD_INVALID` for a field that no record of the space has, and list those there are.
 */
export interface VectorStore {
  /** Name and place, for people: `lmdb at DIR`, `postgres at HOST/DATABASE`. */
  readonly description: string;
  /**
   * Makes a space if it is not there. A new one serves at once, unless `fill` says that it is to take the place of another
   * later ({@link switchSpaces}). Where it is there that costs a look, whatever it holds.
   *
   * @throws PreconditionError `SPACE_MISMATCH` if it is there with another width.
   */
  ensureSpace(space: SpaceSpec, options?: { readonly fill?: boolean }): Promise<SpaceStatus>;
  /** All spaces, ordered by expert name and id. */
  listSpaces(): Promise<readonly SpaceInfo[]>;
  /** Like {@link listSpaces}, with exact counts; a look at all records, where the store keeps no count of them. */
  countSpaces(): Promise<readonly CountedSpace[]>;
  /** Lets spaces serve and retires others, all at once. */
  switchSpaces(change: { readonly serve: readonly string[]; readonly retire: readonly string[] }): Promise<void>;
  /** Removes a space with its records. */
  dropSpace(spaceId: string): Promise<void>;
  /**
   * Writes records, all or none; one whose id is there is replaced. An id twice in one call: the last one stays.
   *
   * With `keepKnown` what is known of a model stays where its record does not say it anew: see `mergeKnown`. It is taken
   * from the space itself, else from the first of the others, by {@link listSpaces}, that has the model; and no change of
   * metadata comes between that and the write.
   *
   * @throws InvalidInputError `SHAPE_MISMATCH` for a vector of another width, `NON_FINITE` for NaN, infinity and zeros;
   * `LIMIT_EXCEEDED` if a record's metadata is too much with what stays.
   */
  upsert(
    spaceId: string,
    records: readonly NewRecord[],
    options?: { readonly keepKnown?: KeepKnown | undefined },
  ): Promise<void>;
  /** Changes the metadata of a model in all its spaces at once; false if there is no such model. */
  updateMetadata(id: string, patch: MetadataPatch): Promise<boolean>;
  /** Removes models from one space, or without one from all; tells how many models were there. */
  delete(ids: readonly string[], spaceId?: string): Promise<number>;
  /**
   * Records in the order of the ids; undefined where there is none. Where `vectors` is false their representations are not
   * read: `vector` is empty.
   */
  get(
    spaceId: string,
    ids: readonly string[],
    options?: { readonly vectors?: boolean },
  ): Promise<readonly (VectorRecord | undefined)[]>;
  /** Records ordered by id. */
  list(spaceId: string, range: RecordRange): Promise<readonly VectorRecord[]>;
  /** Ids of records with one of these hashes, by hash; the first by id where several have it. */
  findByWeights(spaceId: string, weightsHashes: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /**
   * The nearest records of each query, nearest first. Under a filter an approximate search may find fewer than there are;
   * `exact` finds all.
   */
  search(spaceId: string, queries: VectorQueries): Promise<readonly (readonly Hit[])[]>;
  /**
   * Fields of a space's metadata and claims, as filters name them, with the types of their values. What other servers have
   * written for some seconds may be missing.
   */
  fields(spaceId: string): Promise<ReadonlyMap<string, readonly ("string" | "number" | "boolean")[]>>;
  /** Which of these fields of metadata and claims a record of the space has; a look at few of them is quicker than at all. */
  hasFields(spaceId: string, fields: readonly string[]): Promise<ReadonlySet<string>>;
  /** Gives back room that replaced and deleted records hold. Safe at any time, beside reads and writes. */
  compact(): Promise<void>;
  close(): Promise<void>;
}
