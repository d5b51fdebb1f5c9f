import { type UploadState, uploadStateBytes } from "../upload-state.js";
import { answerGraceMs, defaultExpiryMs, type UploadStore } from "../upload-store.js";

/** Bytes kept at most by default: about a thousand uploads at 128 × 128. */
const defaultMaxBytes = 64 * 1024 * 1024;

interface Entry {
  readonly state: UploadState;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** Keeps unfinished uploads in memory; those that expire first give way to new ones when the room is full. */
export function createMemoryUploadStore(
  options: { readonly expiryMs?: number; readonly maxBytes?: number } = {},
): UploadStore {
  const { expiryMs = defaultExpiryMs, maxBytes = defaultMaxBytes } = options;
  const entries = new Map<string, Entry>();
  let total = 0;
  const remove = (id: string): void => {
    total -= entries.get(id)?.bytes ?? 0;
    entries.delete(id);
  };
  /** Equal times fall to the one that was there first, for a Map keeps the order of insertion. */
  const firstToExpire = (): string | undefined => {
    let first: [string, Entry] | undefined;
    for (const entry of entries) if (first === undefined || entry[1].expiresAt < first[1].expiresAt) first = entry;
    return first?.[0];
  };
  return {
    memoryBytes: maxBytes,
    load: async (id) => {
      const entry = entries.get(id);
      if (entry !== undefined && Date.now() >= entry.expiresAt) remove(id);
      return entries.get(id)?.state;
    },
    save: async (id, state) => {
      remove(id);
      const bytes = uploadStateBytes(state);
      entries.set(id, { state, bytes, expiresAt: Date.now() + expiryMs });
      total += bytes;
      while (total > maxBytes) remove(firstToExpire() ?? id);
    },
    remove: async (id) => remove(id),
    retire: async (id) => {
      const entry = entries.get(id);
      if (entry === undefined) return;
      entries.set(id, { ...entry, expiresAt: Math.min(entry.expiresAt, Date.now() + answerGraceMs) });
    },
    close: async () => entries.clear(),
  };
}
