import type { VectorStore } from "../vectors/vector-store.js";
import { findScheme } from "../weights/http-url.js";
import type { CommandContext } from "./command-context.js";
import { usageError } from "./exit-codes.js";
import { assertMayBeStore, assertStoreThere } from "./store-folder.js";
import { toPlain } from "./table.js";

/** Whether a place is a PostgreSQL database, and no folder. */
export function isPostgresUrl(place: string): boolean {
  return /^postgres(?:ql)?:\/\//i.test(place);
}

/**
 * Opens the catalogue that `--store` names: a PostgreSQL database, or a folder, which is made if it is not there.
 *
 * @param onFault hears of what goes wrong in the background: an index that could not be made.
 * @param willSearch whether what searches take is started at once; a search starts it as well.
 * @throws CommandError for a URL of another scheme, and a folder of something else; what opening throws.
 */
export async function openStore(
  place: string,
  onFault: (error: unknown) => void,
  willSearch = true,
): Promise<VectorStore> {
  // Each only when it is needed: to load both takes a quarter of a second.
  if (isPostgresUrl(place)) {
    const { openPostgresStore } = await import("../vectors/stores/postgres/open-postgres-store.js");
    return openPostgresStore({ connectionString: place, onFault });
  }
  const scheme = findScheme(place);
  if (scheme !== undefined) throw usageError(`--store is a ${scheme} URL; it must be a folder or a postgres:// URL`);
  await assertMayBeStore(place);
  const { openLmdbStore } = await import("../vectors/stores/lmdb.js");
  return openLmdbStore(place, { willSearch });
}

/**
 * Opens the catalogue of a command, which is told of what goes wrong in the background.
 *
 * @param makesStore whether a folder is made if it is not there.
 * @param willSearch whether what searches take is started at once. Default: with the first of them.
 * @throws CommandError for a folder without a store that is not to be made; what {@link openStore} throws.
 */
export async function openOwnStore(
  place: string,
  { terminal }: Pick<CommandContext, "terminal">,
  { makesStore, willSearch = false }: { readonly makesStore: boolean; readonly willSearch?: boolean },
): Promise<VectorStore> {
  if (!makesStore && findScheme(place) === undefined) await assertStoreThere(place);
  const tell = (error: unknown): void => {
    terminal.remark(toPlain(`the store: ${error instanceof Error ? error.message : String(error)}`));
  };
  return openStore(place, tell, willSearch);
}
