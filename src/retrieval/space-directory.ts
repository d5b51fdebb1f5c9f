import { listSome } from "../errors/list-some.js";
import { NotFoundError, PreconditionError } from "../errors/probestream-error.js";
import {
  type Catalogue,
  expertNotFound,
  findExpert,
  isSpaceIdPrefix,
  toLabel as toExpertLabel,
} from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";
import { quoteText } from "../vectors/assert-text.js";
import type { SpaceInfo, VectorStore } from "../vectors/vector-store.js";

/** A space of the store, with its expert where it is at hand. */
export interface KnownSpace {
  readonly info: SpaceInfo;
  readonly expert: Expert | undefined;
}

/** The spaces of a store at one time. */
export interface SpaceDirectory {
  /** Ordered by expert name and id. */
  readonly all: readonly KnownSpace[];
  /**
   * Spaces that serve, those of `references` (space ids, unambiguous prefixes of one, experts' names) if there are any.
   *
   * @throws PreconditionError `SPACE_MISMATCH` for a space that does not serve; else like {@link find}. Without references
   * NotFoundError `SPACE_NOT_FOUND` if none serves.
   */
  serving(references: readonly string[]): readonly KnownSpace[];
  /**
   * The space that a reference means, in whatever state; of several of an expert's name the one that serves. Without a
   * reference the only one that serves.
   *
   * @throws NotFoundError `SPACE_NOT_FOUND` for a space id, or its beginning, that no space has, and for an expert under which
   * nothing was indexed, `EXPERT_NOT_FOUND` for another word; PreconditionError `EXPERT_AMBIGUOUS`.
   */
  find(reference: string | undefined): KnownSpace;
}

/** Looks at the spaces and experts there are now. */
export async function readSpaceDirectory(store: VectorStore, catalogue: Catalogue): Promise<SpaceDirectory> {
  const [infos, experts] = await Promise.all([store.listSpaces(), catalogue.recent()]);
  const expertOf = new Map(experts.map((expert) => [expert.spaceId, expert]));
  const all = infos.map((info) => ({ info, expert: expertOf.get(info.spaceId) }));
  const serving = all.filter(({ info }) => info.state === "serving");

  const find = (reference: string | undefined): KnownSpace => {
    if (reference === undefined || reference === "") {
      const [only, ...others] = serving;
      if (only === undefined) throw noneServes(all);
      if (others.length === 0) return only;
      throw new PreconditionError(
        "EXPERT_AMBIGUOUS",
        `${serving.length} spaces serve: ${serving.map(toLabel).join(", ")}; name one`,
        { candidates: serving.map(({ info }) => info.spaceId).join(" ") },
      );
    }
    return pick(serving, reference) ?? pick(all, reference) ?? refuse(reference, all, experts);
  };

  return {
    all,
    find,
    serving: (references) => {
      if (references.length === 0) {
        if (serving.length === 0) throw noneServes(all);
        return serving;
      }
      const named = references.map(find);
      const idle = named.find(({ info }) => info.state !== "serving");
      if (idle !== undefined) throw notServing(idle);
      return all.filter((space) => named.includes(space));
    },
  };
}

/** Most spaces that an error lists. */
const maxListed = 10;

/** Name and short id of a space, for messages. */
export function toLabel({ info }: KnownSpace): string {
  return toExpertLabel({ name: info.expertName, spaceId: info.spaceId });
}

/** A space may go by the name that its expert had when it was made, and by the one it has now. */
function pick(spaces: readonly KnownSpace[], reference: string): KnownSpace | undefined {
  const names = spaces.flatMap((space) => {
    const { spaceId, expertName } = space.info;
    return [expertName, ...(space.expert === undefined ? [] : [space.expert.name])].map((name) => ({
      name,
      spaceId,
      space,
    }));
  });
  return findExpert(names, reference)?.space;
}

function refuse(reference: string, all: readonly KnownSpace[], experts: readonly Expert[]): never {
  const expert = findExpert(experts, reference);
  if (expert !== undefined) {
    throw new NotFoundError(
      "SPACE_NOT_FOUND",
      `the store has no space of the expert "${expert.name}": nothing was indexed under it yet`,
      { expert: reference, spaceId: expert.spaceId },
    );
  }
  if (isSpaceIdPrefix(reference)) {
    const message = `the store has no space ${quoteText(reference)}; it has ${listSome(all.map(toLabel), maxListed)}`;
    throw new NotFoundError("SPACE_NOT_FOUND", message, { spaceId: reference });
  }
  const names = all.map(({ info }) => ({ name: info.expertName }));
  throw expertNotFound(reference, "among the spaces of the store; it has", names);
}

function noneServes(all: readonly KnownSpace[]): NotFoundError {
  const why =
    all.length === 0
      ? "nothing was indexed yet"
      : `none of its ${all.length} serves: ${all.map((space) => `${toLabel(space)} is ${space.info.state}`).join(", ")}`;
  return new NotFoundError("SPACE_NOT_FOUND", `the store has no space to search: ${why}`, { spaces: all.length });
}

function notServing(space: KnownSpace): PreconditionError {
  const { spaceId, state } = space.info;
  return new PreconditionError(
    "SPACE_MISMATCH",
    `the space ${toLabel(space)} is ${state} and is not searched; switch to it first`,
    { spaceId, state },
  );
}
