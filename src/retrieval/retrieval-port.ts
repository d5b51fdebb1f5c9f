import type { ProbestreamError } from "../errors/probestream-error.js";
import type { Filter } from "../vectors/filter.js";
import type { NewRecord, VectorRecord } from "../vectors/vector-record.js";
import type { CountedSpace, MetadataPatch } from "../vectors/vector-store.js";

/** What a query resembles. */
export type Example =
  | { readonly text: string }
  | { readonly modelId: string }
  | { readonly representation: Float32Array; readonly spaceId: string };

/** One query; the fields are those of `RetrievalQuery` in the contract, where each is described. */
export interface RetrievalQuery {
  readonly positives: readonly Example[];
  readonly negatives?: readonly Example[];
  /** Default 10. */
  readonly k?: number;
  readonly filter?: Filter | undefined;
  readonly experts?: readonly string[];
  readonly trees?: readonly string[];
  readonly minScore?: number | undefined;
  readonly minCosine?: number | undefined;
  readonly maxPerBase?: number | undefined;
  readonly exact?: boolean | undefined;
}

/** A record in its space, without its representation. */
export interface ModelRecord extends Omit<VectorRecord, "vector"> {
  readonly spaceId: string;
}

/** A record with its representation. */
export interface FullRecord extends VectorRecord {
  readonly spaceId: string;
}

/** A model that fits. */
export interface ModelHit {
  readonly modelId: string;
  readonly spaceId: string;
  readonly cosine: number;
  /** Probability that the model is what the query means, 0 to 1; absent where the expert has no calibration. */
  readonly score?: number;
  readonly record?: ModelRecord;
}

/** A space that had no say in a query. */
export interface SkippedSpace {
  readonly spaceId: string;
  readonly expertName: string;
  readonly error: ProbestreamError;
}

/** A text of a query that was cut in one space, for the expert's text encoder takes fewer tokens. */
export interface TruncatedExample {
  /** Its place among the query's examples, positives before negatives, from 0. */
  readonly example: number;
  readonly spaceId: string;
  /** Tokens that it has with the expert's prompt, those that mark begin and end included. */
  readonly tokenCount: number;
  /** Tokens that the encoder takes. */
  readonly maxTokens: number;
}

/** Words of a text of a query that the text encoder of one space's expert does not know: they had no say there. */
export interface UnknownWords {
  /** The text's place among the query's examples, positives before negatives, from 0. */
  readonly example: number;
  readonly spaceId: string;
  /** As they stand in the text, each once, the first 32 at most. */
  readonly words: readonly string[];
}

/** Models found, the best first. */
export interface QueryHits {
  readonly hits: readonly ModelHit[];
  readonly skipped: readonly SkippedSpace[];
  /** Texts of which the end, or the begin, had no say in a space. */
  readonly truncated: readonly TruncatedExample[];
  readonly unknownWords: readonly UnknownWords[];
}

/** What labels are asked about; described at `ClassifyRequest` in the contract. */
export interface ClassifyQuestion {
  readonly models: readonly Exclude<Example, { readonly text: string }>[];
  readonly labels?: readonly string[];
  readonly experts?: readonly string[];
  readonly mode?: "one-of-many" | "any-of-many" | undefined;
  /** Labels per model; all if absent. */
  readonly top?: number | undefined;
}

/** One label of a model. */
export interface LabelScore {
  readonly label: string;
  readonly probability?: number;
  readonly cosine?: number;
}

/** A label that had no say, for the expert cannot judge it. */
export interface UnjudgedLabel {
  readonly label: string;
  readonly error: ProbestreamError;
}

/** A label that was judged with less certainty than probabilities tell. */
export interface DoubtfulLabel {
  readonly label: string;
  /** Words of it that the text encoder does not know: it is judged by the others. */
  readonly unknownWords: readonly string[];
  /** Of another kind than the labels that the expert was trained on, so that `isCalibrated` is false. */
  readonly isUnfamiliar: boolean;
}

/** Labels of one model, the best first. */
export interface LabelScores {
  readonly spaceId: string;
  readonly labels: readonly LabelScore[];
  /** Whether probabilities were checked on models that the expert was not trained on, for labels such as these. */
  readonly isCalibrated: boolean;
  /** Labels asked for that are not among `labels`; the same for all models of a space. */
  readonly unjudged: readonly UnjudgedLabel[];
  /** Of the labels that were judged, also those beyond `top`; the same for all models of a space. */
  readonly doubtful: readonly DoubtfulLabel[];
}

/** A model that is nearly the same as another. */
export interface Duplicate {
  readonly modelId: string;
  readonly spaceId: string;
  readonly cosine: number;
  readonly hasSameWeights: boolean;
}

/** A space as the catalogue knows it. */
export interface CatalogueSpace extends CountedSpace {
  readonly fields: readonly string[];
  readonly isExpertPresent: boolean;
  readonly isCalibrated: boolean;
}

/** Which records of a space. */
export interface RecordSelection {
  /** Space id, an unambiguous prefix, or an expert's name; absent: the only space that serves. */
  readonly space?: string | undefined;
  readonly filter?: Filter | undefined;
}

/**
 * Searches a catalogue of models and keeps it: the use cases behind the server, behind `--local`, and, over the network,
 * the client. Errors of one query come in its place; those of a whole call are thrown.
 */
export interface RetrievalPort {
  retrieve(
    queries: readonly RetrievalQuery[],
    options?: { readonly withRecords?: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<readonly (QueryHits | ProbestreamError)[]>;
  classify(question: ClassifyQuestion, signal?: AbortSignal): Promise<readonly (LabelScores | ProbestreamError)[]>;
  findDuplicates(
    modelIds: readonly string[],
    options?: {
      readonly minCosine?: number | undefined;
      readonly k?: number | undefined;
      readonly experts?: readonly string[];
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<readonly (readonly Duplicate[] | ProbestreamError)[]>;
  listSpaces(): Promise<{ readonly store: string; readonly spaces: readonly CatalogueSpace[] }>;
  switchSpaces(change: { readonly serve: readonly string[]; readonly retire: readonly string[] }): Promise<void>;
  dropSpace(space: string): Promise<void>;
  /** Records by id or by hash of weights, in that order; what is not there is left out. */
  getModels(wanted: {
    readonly modelIds?: readonly string[];
    readonly weightsHashes?: readonly string[];
    readonly spaces?: readonly string[];
  }): Promise<readonly FullRecord[]>;
  listModels(
    range: RecordSelection & { readonly pageSize?: number | undefined; readonly pageToken?: string | undefined },
  ): Promise<{ readonly records: readonly ModelRecord[]; readonly nextPageToken: string }>;
  /** The model's records as they are then. @throws NotFoundError `MODEL_NOT_FOUND` */
  updateModel(modelId: string, patch: MetadataPatch): Promise<readonly ModelRecord[]>;
  deleteModels(modelIds: readonly string[], space?: string): Promise<number>;
  exportModels(selection: RecordSelection, signal?: AbortSignal): AsyncIterable<readonly FullRecord[]>;
  /** Writes batches of records, each whole; tells how many are there durably. Times that are absent are the store's. */
  importModels(
    space: { readonly spaceId: string; readonly expertName: string; readonly fill?: boolean },
    batches: AsyncIterable<readonly NewRecord[]>,
    signal?: AbortSignal,
  ): Promise<number>;
}
