import { join } from "node:path";
import { type Catalogue, openCatalogue } from "../experts/catalogue.js";
import { describeExpert, manifestName } from "../experts/expert.js";
import { exists } from "../system/exists.js";
import { CommandError, exitCodes } from "./exit-codes.js";
import { joinCatalogues } from "./join-catalogues.js";

/** Folder of experts where nothing else is said. */
export const defaultExpertsFolder = "experts";

/** Experts on this machine. */
export interface LocalExperts {
  readonly catalogue: Catalogue;
  /** What to ask for: names as given, space ids for folders. */
  readonly wanted: readonly string[];
}

/**
 * Opens the experts of `--experts` and `--expert`: a word that is the path of an expert folder means that folder,
 * any other an expert of `--experts`.
 *
 * @throws CommandError if a folder holds no usable expert.
 */
export async function openLocalExperts(folder: string | undefined, words: readonly string[]): Promise<LocalExperts> {
  const catalogues: Catalogue[] = [];
  const wanted: string[] = [];
  let needsFolder = words.length === 0 || folder !== undefined;
  for (const word of words) {
    if (await exists(join(word, manifestName))) {
      wanted.push((await describeExpert(word)).spaceId);
      catalogues.push(openCatalogue(word));
    } else {
      wanted.push(word);
      needsFolder = true;
    }
  }
  if (needsFolder) catalogues.push(await openUsable(folder ?? defaultExpertsFolder));
  const catalogue = joinCatalogues(catalogues);
  // A name that is wrong for one model is wrong for all: better said once, before anything is read.
  for (const word of wanted) await catalogue.get(word);
  return { catalogue, wanted };
}

async function openUsable(folder: string): Promise<Catalogue> {
  const catalogue = openCatalogue(folder);
  const { experts, unusable } = await catalogue.list();
  if (experts.length > 0) return catalogue;
  const [first] = unusable;
  const why = first?.error instanceof Error ? `: ${first.error.message}` : "";
  const message = `${folder} holds no usable expert${why}; give a folder of expert folders with --experts, or one with --expert`;
  throw new CommandError(message, exitCodes.unusable);
}
