import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import type {
  FullRecord,
  ModelHit,
  QueryHits,
  SkippedSpace,
  ModelRecord as StoredRecord,
  TruncatedExample,
  UnknownWords,
} from "../../../src/retrieval/retrieval-port.js";
import type { PortResult } from "../../../src/search/embed-port.js";
import type { TreeMatch } from "../../../src/trees/tree-match.js";
import type { Scalar } from "../../../src/vectors/filter.js";

/** The result of one expert. */
export interface ExpertEmbedding {
  /** The space that the representation lies in: two compare only if it is equal. */
  readonly spaceId: string;
  readonly expertName: string;
  /** e, r_T numbers. */
  readonly representation: Float32Array;
  /** Cosine with each text vector that was given. */
  readonly textCosines: Float32Array;
  /** Of classification experts: a logit and a probability per label. */
  readonly labelLogits: Float32Array;
  readonly labelProbabilities: Float32Array;
  readonly labels: readonly string[];
  /** How the model stands to the expert's Model Tree; absent if the expert was not calibrated. */
  readonly tree?: TreeMatch | undefined;
}

/** What the server makes of one model. */
export class EmbedResult {
  readonly modelId: string;
  /** One per expert; of a routed model one alone. */
  readonly embeddings: readonly ExpertEmbedding[];
  /** Bytes that the server received in the last call. */
  readonly bytesReceived: number;
  /** Bytes that the representation rests on. */
  readonly bytesTotal: number;
  readonly rowsProjected: number;
  /** Milliseconds by stage, on the server; stages overlap. */
  readonly timings: PortResult["timings"];
  /** What did the projection. */
  readonly backends: PortResult["backends"];
  /** SHA-256 of the layer in lower-case hexadecimal, as the server computed it. */
  readonly weightsHash: string;
  /** Id under which the model is in the catalogue now; absent if it was not to be indexed. */
  readonly indexedId: string | undefined;

  constructor(modelId: string, result: PortResult) {
    this.modelId = modelId;
    this.embeddings = result.embeddings.map(({ cosines, logits, probabilities, ...rest }) => ({
      ...rest,
      textCosines: cosines,
      labelLogits: logits,
      labelProbabilities: probabilities,
    }));
    this.bytesReceived = result.bytesReceived;
    this.bytesTotal = result.bytesTotal;
    this.rowsProjected = result.rowsProjected;
    this.timings = result.timings;
    this.backends = result.backends;
    this.weightsHash = result.weightsHash;
    this.indexedId = result.indexedId;
  }

  /** The only embedding. @throws InvalidInputError `FIELD_INVALID` where several experts embedded the model. */
  get embedding(): ExpertEmbedding {
    const [only, ...others] = this.embeddings;
    if (only !== undefined && others.length === 0) return only;
    const names = this.embeddings.map(({ expertName }) => expertName).join(", ");
    const message = `${this.embeddings.length} experts embedded the model: ${names}; take one of embeddings`;
    throw new InvalidInputError("FIELD_INVALID", message, { experts: names });
  }

  /** Representation of the only embedding. @throws as {@link embedding}. */
  get representation(): Float32Array {
    return this.embedding.representation;
  }
}

/** One model of the catalogue in one space. */
export interface ModelRecord {
  readonly modelId: string;
  readonly spaceId: string;
  /** r_T numbers; absent where only the facts were asked for. */
  readonly representation?: Float32Array | undefined;
  /** SHA-256 of the streamed layer in lower-case hexadecimal; empty if it is not known. */
  readonly weightsHash: string;
  /** SHA-256 of the whole file in lower-case hexadecimal; empty if it is not known. */
  readonly fileHash: string;
  /** The Model Tree that accepted the model; empty if none was asked. */
  readonly tree: string;
  /** The base model, by the user's word or else the file's; empty if neither says. */
  readonly base: string;
  /** What the user said of the model. */
  readonly metadata: Readonly<Record<string, Scalar>>;
  /** What the model's file says of itself: claims, not facts. */
  readonly claims: Readonly<Record<string, string>>;
  readonly created: Date;
  readonly updated: Date;
}

/** A record that is to be written: of all fields but the id and the representation some may be missing. */
export type NewModelRecord = Pick<ModelRecord, "modelId"> & { readonly representation: Float32Array } & Partial<
    Omit<ModelRecord, "modelId" | "representation">
  >;

/** A record for the caller. */
export function toRecord(record: StoredRecord | FullRecord): ModelRecord {
  const { id, createdMs, updatedMs, spaceId, weightsHash, fileHash, tree, base, metadata, claims } = record;
  return {
    modelId: id,
    spaceId,
    ...("vector" in record && { representation: record.vector }),
    weightsHash,
    fileHash,
    tree,
    base,
    metadata,
    claims,
    created: new Date(createdMs),
    updated: new Date(updatedMs),
  };
}

/**
 * A record for the wire.
 *
 * @param nowMs stands for times that are missing.
 * @throws InvalidInputError `FIELD_INVALID` for a record without a representation.
 */
export function fromRecord(record: NewModelRecord, nowMs: number): FullRecord {
  const { modelId, representation, spaceId = "", weightsHash = "", fileHash = "", tree = "", base = "" } = record;
  const { metadata = {}, claims = {}, created, updated } = record;
  if (!(representation instanceof Float32Array)) {
    const message = `the record "${modelId}" has no representation (a Float32Array); export gives records with theirs`;
    throw new InvalidInputError("FIELD_INVALID", message);
  }
  return {
    id: modelId,
    vector: representation,
    ...{ spaceId, weightsHash, fileHash, tree, base, metadata, claims },
    createdMs: created?.getTime() ?? nowMs,
    updatedMs: updated?.getTime() ?? nowMs,
  };
}

/** A model that fits a query. */
export interface Hit extends Omit<ModelHit, "record"> {
  /** Where it was asked for. */
  readonly record?: ModelRecord | undefined;
}

/** The answer to one query. */
export interface Answer {
  /** The best first. */
  readonly hits: readonly Hit[];
  /** Spaces that were not searched, and why. */
  readonly skipped: readonly SkippedSpace[];
  /** Texts of the query that were cut for a space, for its text encoder takes fewer tokens. */
  readonly truncated: readonly TruncatedExample[];
  /** Words of the query's texts that a space's text encoder does not know: they had no say there. */
  readonly unknownWords: readonly UnknownWords[];
}

/** An answer for the caller. */
export function toAnswer({ hits, ...rest }: QueryHits): Answer {
  return { hits: hits.map(({ record, ...hit }) => ({ ...hit, record: record && toRecord(record) })), ...rest };
}
