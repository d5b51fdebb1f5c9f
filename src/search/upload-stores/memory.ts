import { type UploadState, uploadStateBytes } from "../upload-state.js";
import { defaultExpiryMs, type UploadStore } from "../upload-store.js";

/** Bytes kept at most by default: about a thousand uploads at 128 × 128. */
const defaultMaxBytes = 64 * 1024 * 1024;

/** Keeps unfinished uploads in memory; the oldest give way to new ones when the room is full. */
export function createMemoryUploadStore(
  options: { readonly expiryMs?: number; readonly maxBytes?: number } = {},
): UploadStore {
  const { expiryMs = defaultExpiryMs, maxBytes = defaultMaxBytes } = options;
  const entries = new Map<string, { readonly state: UploadState; readonly bytes: number; readonly savedAt: number }>();
  let total = 0;
  const remove = (id: string): void => {
    total -= entries.get(id)?.bytes ?? 0;
    entries.delete(id);
  };
  return {
    memoryBytes: maxBytes,
    load: async (id) => {
      const entry = entries.get(id);
      if (entry !== undefined && Date.now() - entry.savedAt > expiryMs) remove(id);
      return entries.get(id)?.state;
    },
    save: async (id, state) => {
      remove(id);
      const bytes = uploadStateBytes(state);
      entries.set(id, { state, bytes, savedAt: Date.now() });
      total += bytes;
      // A Map iterates in order of insertion: oldest first.
      for (const [oldest, { savedAt }] of entries) {
        if (total <= maxBytes && Date.now() - savedAt <= expiryMs) break;
        remove(oldest);
      }
    },
    remove: async (id) => remove(id),
    close: async () => entries.clear(),
  };
}
