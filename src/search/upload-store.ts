import type { UploadState } from "./upload-state.js";

/** Keeps unfinished uploads, so that they can be resumed. */
export interface UploadStore {
  /** The last state saved under an id, unless it expired or was crowded out. */
  load(uploadId: string): Promise<UploadState | undefined>;
  save(uploadId: string, state: UploadState): Promise<void>;
  remove(uploadId: string): Promise<void>;
  /** Bytes of memory that it may take. */
  readonly memoryBytes: number;
  close(): Promise<void>;
}

/** How long an unfinished upload is kept by default, in milliseconds: a day, to survive a night without network. */
export const defaultExpiryMs = 24 * 60 * 60 * 1000;
