import { NotFoundError, PreconditionError } from "../errors/probestream-error.js";
import { type Catalogue, expertNotFound, toLabel } from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";

/** Several catalogues as one; an expert that is in two of them counts once. */
export function joinCatalogues(catalogues: readonly Catalogue[]): Catalogue {
  const [only, ...others] = catalogues;
  if (only !== undefined && others.length === 0) return only;
  return {
    list: async () => {
      const lists = await Promise.all(catalogues.map((catalogue) => catalogue.list()));
      return {
        experts: unique(lists.flatMap(({ experts }) => experts)),
        unusable: lists.flatMap(({ unusable }) => unusable),
      };
    },
    recent: async () => unique((await Promise.all(catalogues.map((catalogue) => catalogue.recent()))).flat()),
    get: async (reference) => {
      const found = unique((await Promise.all(catalogues.map((catalogue) => find(catalogue, reference)))).flat());
      const [first, second] = found;
      if (first === undefined) {
        const lists = await Promise.all(catalogues.map((catalogue) => catalogue.recent()));
        throw expertNotFound(reference, "in the folders given; they have", unique(lists.flat()));
      }
      if (second === undefined) return first;
      throw new PreconditionError(
        "EXPERT_AMBIGUOUS",
        `"${reference}" fits ${found.map(toLabel).join(", ")}; name one by its space id`,
        { expert: reference },
      );
    },
  };
}

async function find(catalogue: Catalogue, reference: string): Promise<Expert[]> {
  try {
    return [await catalogue.get(reference)];
  } catch (error) {
    if (error instanceof NotFoundError) return [];
    throw error;
  }
}

function unique(experts: readonly Expert[]): Expert[] {
  return [...new Map(experts.map((expert) => [expert.spaceId, expert])).values()];
}
