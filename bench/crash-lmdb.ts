import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLmdbStore } from "../src/vectors/stores/lmdb.js";
import type { VectorStore } from "../src/vectors/vector-store.js";

/** Makes a place for a store of its own. */
export async function createPlace(): Promise<string> {
  return mkdtemp(join(tmpdir(), "probestream-crash-"));
}

/** Removes it. */
export async function removePlace(place: string): Promise<void> {
  await rm(place, { recursive: true, force: true });
}

/** Opens the store that is there. */
export async function openStore(place: string): Promise<VectorStore> {
  return openLmdbStore(place, { threads: 1 });
}
