import type { CatalogueSpace, RetrievalPort } from "../retrieval/retrieval-port.js";
import type { Filter } from "../vectors/filter.js";
import { suggestNames } from "../weights/nearest-names.js";
import { quoteName } from "../weights/quote-name.js";
import { CommandError, exitCodes } from "./exit-codes.js";
import { toFilterIn } from "./find-space.js";

/** Ids of one call. */
const idsAtOnce = 1000;

/** Ids that are looked at for a suggestion, in all spaces together. */
const mostCompared = 20_000;

/** Which of some ids the catalogue has. */
export async function findKnownIds(port: RetrievalPort, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  for (let at = 0; at < ids.length; at += idsAtOnce) {
    const records = await port.getModels({ modelIds: ids.slice(at, at + idsAtOnce) });
    for (const { id } of records) known.add(id);
  }
  return known;
}

/**
 * The error for a word that is neither a model of the catalogue nor, where `isFileAllowed`, a file: with the ids that are
 * most like it.
 */
export async function modelNotFound(port: RetrievalPort, word: string, isFileAllowed: boolean): Promise<CommandError> {
  return toModelNotFound(word, await readComparedIds(port), isFileAllowed);
}

/** Ids that {@link toModelNotFound} looks at, read once for many words. */
export async function readComparedIds(port: RetrievalPort): Promise<readonly string[]> {
  const ids: string[] = [];
  const { spaces } = await port.listSpaces();
  for await (const id of listModelIds(port, { spaces })) {
    ids.push(id);
    if (ids.length >= mostCompared) break;
  }
  return ids;
}

/** The error of {@link modelNotFound}, of ids that are at hand. */
export function toModelNotFound(word: string, ids: readonly string[], isFileAllowed: boolean): CommandError {
  const where = isFileAllowed ? "in the catalogue, and no such file" : "in the catalogue";
  const advice =
    suggestNames(word, ids) ||
    toContaining(word, ids) ||
    (ids.length === 0 ? "; it is empty" : "; `catalogue list` has all");
  return new CommandError(`no model ${JSON.stringify(word)} ${where}${advice}`, exitCodes.unusable);
}

/** Ids with a word in them, as text to follow a message: of a model in a folder people remember one part. */
function toContaining(word: string, ids: readonly string[]): string {
  const found = [...new Set(ids)].filter((id) => id.includes(word)).slice(0, 3);
  return found.length === 0 ? "" : `; it stands in ${found.map((id) => quoteName(id)).join(", ")}`;
}

/** Which models are listed. */
export interface IdSelection {
  readonly spaces: readonly CatalogueSpace[];
  /** A field that models of one of the spaces have may be named for all. Default: all models. */
  readonly filter?: Filter | undefined;
  /** Stops between two pages; the list then throws its reason. */
  readonly signal?: AbortSignal;
}

/** Ids of models, space by space; of one that is in several spaces several times. */
async function* listModelIds(
  port: RetrievalPort,
  { spaces, filter, signal }: IdSelection,
): AsyncGenerator<string, void, undefined> {
  for (const space of spaces) {
    const own = toFilterIn(space, spaces, filter);
    let pageToken = "";
    do {
      signal?.throwIfAborted();
      const page = await port.listModels({ space: space.spaceId, filter: own, pageSize: 1000, pageToken });
      for (const { id } of page.records) yield id;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }
}

/** The same, each id once. */
export async function findAllIds(port: RetrievalPort, selection: IdSelection): Promise<readonly string[]> {
  const ids = new Set<string>();
  for await (const id of listModelIds(port, selection)) ids.add(id);
  return [...ids];
}
