import { findExpert, toLabel } from "../experts/catalogue.js";
import type { CatalogueSpace } from "../retrieval/retrieval-port.js";
import { toSpaceFilter } from "../retrieval/space-filter.js";
import type { Filter } from "../vectors/filter.js";
import { CommandError, exitCodes } from "./exit-codes.js";

/**
 * The space that a space id, a prefix of one, or an expert's name means.
 *
 * @throws CommandError if there is none, with those there are; PreconditionError `EXPERT_AMBIGUOUS` if there are several.
 */
export function findSpace(spaces: readonly CatalogueSpace[], word: string): CatalogueSpace {
  const named = spaces.map((space) => ({ name: space.expertName, spaceId: space.spaceId, space }));
  const found = findExpert(named, word);
  if (found !== undefined) return found.space;
  const has = spaces.length === 0 ? "none" : spaces.map(toSpaceLabel).join(", ");
  throw new CommandError(`no space ${JSON.stringify(word)} in the catalogue; it has ${has}`, exitCodes.unusable);
}

/** The spaces that an option names, or all that serve; of those that do not, none are left out where none serves. */
export function selectSpaces(spaces: readonly CatalogueSpace[], words: readonly string[]): readonly CatalogueSpace[] {
  if (words.length > 0) return [...new Set(words.map((word) => findSpace(spaces, word)))];
  const serving = spaces.filter(({ state }) => state === "serving");
  return serving.length > 0 ? serving : spaces;
}

/**
 * A filter in one of several spaces: a field that only models of another one have is no error, and a condition on it does
 * not hold here, though `!=` does.
 */
export function toFilterIn(
  space: CatalogueSpace,
  spaces: readonly CatalogueSpace[],
  filter: Filter | undefined,
): Filter | undefined {
  if (filter === undefined) return undefined;
  return toSpaceFilter(filter, new Set(space.fields), new Set(spaces.flatMap(({ fields }) => fields)));
}

/** Name and short id of a space, for messages. */
export function toSpaceLabel({ expertName, spaceId }: Pick<CatalogueSpace, "expertName" | "spaceId">): string {
  return toLabel({ name: expertName, spaceId });
}
