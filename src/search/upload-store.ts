import type { UploadState } from "./upload-state.js";

/** Keeps unfinished uploads, so that they can be resumed. */
export interface UploadStore {
  /** The last state saved under an id, unless it expired or was crowded out. */
  load(uploadId: string): Promise<UploadState | undefined>;
  /** @throws AbortedError `UPLOAD_IN_USE` if another server has claimed it. */
  save(uploadId: string, state: UploadState): Promise<void>;
  /**
   * From now on this server goes on with what was saved under an id, and another that still holds it saves no more. Absent
   * where servers share nothing.
   */
  claim?(uploadId: string): Promise<void>;
  remove(uploadId: string): Promise<void>;
  /**
   * The upload is complete. What was saved of it is kept for {@link answerGraceMs} more, so that a client that the answer
   * did not reach gets it without sending everything again, and gives way before unfinished uploads.
   */
  retire(uploadId: string): Promise<void>;
  /** Bytes of memory that it may take. */
  readonly memoryBytes: number;
  close(): Promise<void>;
}

/** How long an unfinished upload is kept by default, in milliseconds: a day, to survive a night without network. */
export const defaultExpiryMs = 24 * 60 * 60 * 1000;

/** How long a complete upload is kept, in milliseconds: ten minutes, for clients that restart or change their network. */
export const answerGraceMs = 10 * 60 * 1000;
