import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import { suggestNames } from "../weights/nearest-names.js";
import { CommandError, exitCodes } from "./exit-codes.js";

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
  const ids: string[] = [];
  for await (const id of listModelIds(port)) {
    ids.push(id);
    if (ids.length >= mostCompared) break;
  }
  const where = isFileAllowed ? "in the catalogue, and no such file" : "in the catalogue";
  const advice = suggestNames(word, ids) || (ids.length === 0 ? "; it is empty" : "; `catalogue list` has all");
  return new CommandError(`no model ${JSON.stringify(word)} ${where}${advice}`, exitCodes.unusable);
}

/** Ids of all models, space by space; of one that is in several spaces several times. */
export async function* listModelIds(port: RetrievalPort): AsyncGenerator<string, void, undefined> {
  const { spaces } = await port.listSpaces();
  for (const { spaceId } of spaces) {
    let pageToken = "";
    do {
      const page = await port.listModels({ space: spaceId, pageSize: 1000, pageToken });
      for (const { id } of page.records) yield id;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }
}
