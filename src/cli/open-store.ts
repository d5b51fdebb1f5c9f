import type { VectorStore } from "../vectors/vector-store.js";
import { usageError } from "./exit-codes.js";

/** Opens the catalogue that `--store` names: a folder, made if it is not there. Throws what opening throws. */
export async function openStore(place: string): Promise<VectorStore> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(place)) {
    throw usageError(`--store is ${place}; it must be a folder`);
  }
  const { openLmdbStore } = await import("../vectors/stores/lmdb.js");
  return openLmdbStore(place);
}
