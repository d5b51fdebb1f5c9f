import { AbortedError, PreconditionError } from "../errors/probestream-error.js";
import type { ModelState } from "./embed-messages.js";
import type { UploadStore } from "./upload-store.js";

/** An upload's right to save its state, held by one stream at a time. */
export interface UploadTicket {
  /**
   * Saves the state, or the newest one as soon as the previous save is done. Settles when this state or a newer one is
   * saved, or cannot be.
   */
  save(state: ModelState): Promise<void>;
  /** From now on nothing is saved, and what was is removed. */
  forget(): void;
  /** Gives the ticket back. What was saved of a complete upload is kept for its answer's sake only. */
  close(upload: "unfinished" | "complete"): void;
}

/** Knows which uploads are under way in this process, and hears from the store that another one has taken one over. */
export interface UploadRegistry {
  /**
   * Takes an upload over. A stream that still holds it is told: a client that lost its connection comes back before the
   * server notices, and must not be locked out by its own ghost.
   *
   * @throws PreconditionError `UPLOAD_MISMATCH` if something else was uploaded under this id.
   */
  open(
    uploadId: string,
    fingerprint: string,
    onTakenOver: () => void,
  ): Promise<{ ticket: UploadTicket; state: ModelState | undefined }>;
  /** The saved state, if it was saved under an equal plan. Throws like {@link open}. */
  find(uploadId: string, fingerprint: string): Promise<ModelState | undefined>;
  /** Waits until what was to be saved is saved. */
  settle(): Promise<void>;
}

/** A stream that holds an upload. */
interface Holder {
  readonly fingerprint: string;
  readonly onTakenOver: () => void;
  settled: Promise<void>;
}

function otherUpload(uploadId: string): PreconditionError {
  return new PreconditionError(
    "UPLOAD_MISMATCH",
    `the upload id "${uploadId}" belongs to another model, other ranges or another expert; choose a new id`,
    { uploadId },
  );
}

/** Creates a registry over a store. */
export function createUploadRegistry(store: UploadStore, onError: (error: unknown) => void): UploadRegistry {
  const holders = new Map<string, Holder>();

  const find = async (uploadId: string, fingerprint: string): Promise<ModelState | undefined> => {
    const saved = await store.load(uploadId);
    if (saved === undefined || saved.fingerprint === fingerprint) return saved?.state;
    throw otherUpload(uploadId);
  };

  return {
    settle: async () => {
      // Streams that are still open keep theirs; what they have asked to be saved so far is waited for.
      await Promise.all([...holders.values()].map(({ settled }) => settled));
    },
    find: async (uploadId, fingerprint) => {
      // A client that comes back at once is told of the checkpoint that is just being saved.
      await holders.get(uploadId)?.settled;
      return find(uploadId, fingerprint);
    },
    open: async (uploadId, fingerprint, onTakenOver) => {
      const previous = holders.get(uploadId);
      // Whoever comes with something else must not end the upload that is under way.
      if (previous !== undefined && previous.fingerprint !== fingerprint) throw otherUpload(uploadId);
      const holder: Holder = { fingerprint, onTakenOver, settled: Promise.resolve() };
      holders.set(uploadId, holder);
      previous?.onTakenOver();
      await previous?.settled;
      let state: ModelState | undefined;
      try {
        state = await find(uploadId, fingerprint);
        if (state !== undefined) await store.claim?.(uploadId);
      } catch (error) {
        if (holders.get(uploadId) === holder) holders.delete(uploadId);
        throw error;
      }
      return { state, ticket: createTicket(uploadId, fingerprint, holder, state !== undefined) };
    },
  };

  function createTicket(uploadId: string, fingerprint: string, holder: Holder, hasState: boolean): UploadTicket {
    let next: ModelState | undefined;
    let saving = false;
    // Small models are never saved: there is nothing to remove either.
    let stored = hasState;
    let open = true;
    const isHolder = (): boolean => holders.get(uploadId) === holder;

    const drain = async (): Promise<void> => {
      while (next !== undefined && isHolder()) {
        const state = next;
        next = undefined;
        stored = true;
        try {
          await store.save(uploadId, { fingerprint, state });
        } catch (error) {
          if (!(error instanceof AbortedError)) throw error;
          // Its client has come back to another server, which goes on with it.
          if (isHolder()) {
            holders.delete(uploadId);
            holder.onTakenOver();
          }
        }
      }
    };
    const run = (work: () => Promise<void>): void => {
      holder.settled = holder.settled.then(work).catch(onError);
    };

    return {
      save: (state) => {
        if (!open) return Promise.resolve();
        next = state;
        if (!saving) {
          saving = true;
          run(async () => {
            await drain().finally(() => {
              saving = false;
            });
          });
        }
        return holder.settled;
      },
      forget: () => {
        next = undefined;
        run(async () => {
          if (stored && isHolder()) await store.remove(uploadId);
        });
      },
      close: (upload) => {
        if (!open) return;
        open = false;
        run(async () => {
          if (upload === "complete" && stored && isHolder()) await store.retire(uploadId);
        });
        run(async () => {
          if (isHolder()) holders.delete(uploadId);
        });
      },
    };
  }
}
