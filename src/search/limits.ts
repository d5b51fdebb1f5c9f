import { defaultExpiryMs } from "./upload-store.js";

const mib = 1024 * 1024;

/** What an embedder allows. Each can be changed where the server is started. */
export interface EmbedLimits {
  /** Longest chunk, in bytes. */
  readonly maxChunkBytes: number;
  /** Best chunk, in bytes. */
  readonly bestChunkBytes: number;
  /** Most manifests in one plan. */
  readonly maxPlanModels: number;
  /** Most tensors in one manifest. */
  readonly maxManifestTensors: number;
  /** Most models in one stream. */
  readonly maxStreamModels: number;
  /** Most text vectors in force at a time. */
  readonly maxTextVectors: number;
  /** Bytes of a failed model that are read and dropped before an early answer. */
  readonly maxDiscardBytes: number;
  /** Length of an answer from which on no further model of its stream is taken. */
  readonly maxAnswerBytes: number;
  /** A stream that brings nothing for so long is ended, in milliseconds. */
  readonly streamIdleMs: number;
  /** An unfinished upload can be resumed for so long, in milliseconds. */
  readonly uploadExpiryMs: number;
}

/** Limits where nothing else is said. */
export const defaultLimits: EmbedLimits = {
  maxChunkBytes: mib,
  // A payload just above a power of two makes protobuf writers allocate twice the size: 4 KiB are left for the rest.
  bestChunkBytes: mib - 4096,
  // 1,000 LoRA files of 8 tensors plan in about 1 MB of messages.
  maxPlanModels: 1024,
  // A full SDXL pipeline has some 2,500 tensors, a Mixtral 8x22B 1,700, fine-grained mixtures up to 60,000.
  maxManifestTensors: 65_536,
  maxStreamModels: 1024,
  // All of ImageNet-21k.
  maxTextVectors: 21_841,
  maxDiscardBytes: 4 * mib,
  // Stays below the 4 MiB that gRPC clients receive where nothing else is said.
  maxAnswerBytes: 3 * mib,
  streamIdleMs: 60_000,
  uploadExpiryMs: defaultExpiryMs,
};
