import { maxK } from "../vectors/assert-queries.js";
import { maxMetadataBytes } from "../vectors/assert-records.js";

/** What retrieval allows. Each can be changed where the server is started. */
export interface RetrievalLimits {
  /** Most queries of one batch, models of one classification or search for duplicates, ids of one call. */
  readonly maxQueries: number;
  /** Most labels of one classification. */
  readonly maxLabels: number;
  /** Longest value of a claim that is kept, in bytes of UTF-8. */
  readonly maxClaimBytes: number;
  /** Most bytes of one record's metadata, names and values, in UTF-8. */
  readonly maxMetadataBytes: number;
  /** Batches computed at a time, those of a size each; others wait. */
  readonly batchesAtOnce: number;
  /** Batches that may wait, those of a size each; more are refused. */
  readonly maxWaitingBatches: number;
}

/** Limits where nothing else is said. */
export const defaultRetrievalLimits: RetrievalLimits = {
  // 4,096 texts of a line each make a message of some 300 kB; with representations of 512 numbers, 2,000 fill one.
  maxQueries: 4096,
  // All of ImageNet-21k.
  maxLabels: 21_841,
  // Titles, licences and tag lists are shorter; the training logs that some tools put there take megabytes.
  maxClaimBytes: 4096,
  maxMetadataBytes,
  // One that is searched while another is encoded or merged.
  batchesAtOnce: 2,
  maxWaitingBatches: 256,
};

/** Most models that one query finds. */
export const maxHits = maxK;

/** Models that a query finds where it does not say how many. */
export const defaultHits = 10;
