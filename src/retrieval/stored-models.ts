import { listSome } from "../errors/list-some.js";
import { InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { quoteText } from "../vectors/assert-text.js";
import type { VectorRecord } from "../vectors/vector-record.js";
import type { VectorStore } from "../vectors/vector-store.js";
import type { Example } from "./retrieval-port.js";
import { type KnownSpace, toLabel } from "./space-directory.js";

/** Records of models that a call names, per space id and model id. */
export type StoredModels = ReadonlyMap<string, ReadonlyMap<string, VectorRecord>>;

/** Models at a time that are asked of a store. */
const idsAtOnce = 1000;

/** Looks models up in each of the spaces; what is not there is left out. */
export async function readStoredModels(
  store: VectorStore,
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<StoredModels> {
  const spaces = [...wanted].map(async ([spaceId, ids]) => {
    const found = new Map<string, VectorRecord>();
    const all = [...ids];
    for (let at = 0; at < all.length; at += idsAtOnce) {
      const records = await store.get(spaceId, all.slice(at, at + idsAtOnce));
      for (const record of records) if (record !== undefined) found.set(record.id, record);
    }
    return [spaceId, found] as const;
  });
  return new Map(await Promise.all(spaces));
}

/** Records of which something is kept at a time: with the longest metadata they take 16 MiB. */
const plainAtOnce = 128;

/**
 * Reads what is known of models without their representations, a few at a time, so that only what is kept of them takes
 * memory.
 *
 * @param keep is given each record that is there; what it throws ends all.
 * @throws the signal's reason.
 */
export async function visitStoredModels(
  store: VectorStore,
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
  keep: (spaceId: string, record: VectorRecord) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const [spaceId, ids] of wanted) {
    const all = [...ids];
    for (let at = 0; at < all.length; at += plainAtOnce) {
      signal?.throwIfAborted();
      const records = await store.get(spaceId, all.slice(at, at + plainAtOnce), { vectors: false });
      for (const record of records) if (record !== undefined) keep(spaceId, record);
    }
  }
}

/**
 * The spaces, of those asked for, in which all examples that lie in a space have a place: a model those where it is stored, a
 * representation its own.
 *
 * @throws NotFoundError `MODEL_NOT_FOUND`, `SPACE_NOT_FOUND`; InvalidInputError `SHAPE_MISMATCH` for a representation of
 * another width, `FIELD_INVALID` where examples have no space in common.
 */
export function toCommonSpaces(
  examples: readonly Example[],
  asked: readonly KnownSpace[],
  stored: StoredModels,
): readonly KnownSpace[] {
  let common = asked;
  for (const example of examples) {
    if ("text" in example) continue;
    const own = "modelId" in example ? spacesOfModel(example.modelId, asked, stored) : [spaceOf(example, asked)];
    common = common.filter((space) => own.includes(space));
  }
  if (common.length > 0) return common;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `the examples lie in different spaces and cannot be compared; of those asked for (${asked.map(toLabel).join(", ")}) none has all of them`,
  );
}

function spacesOfModel(id: string, asked: readonly KnownSpace[], stored: StoredModels): readonly KnownSpace[] {
  const own = asked.filter(({ info }) => stored.get(info.spaceId)?.has(id) === true);
  if (own.length > 0) return own;
  throw modelNotFound(id, asked);
}

/** The error for a model that none of the spaces asked for has. */
export function modelNotFound(id: string, asked: readonly KnownSpace[]): NotFoundError {
  const shown = listSome(asked.map(toLabel), 5);
  return new NotFoundError("MODEL_NOT_FOUND", `the catalogue has no model ${quoteText(id)} in ${shown}`, {
    modelId: id,
  });
}

/** The space of a representation. */
function spaceOf(
  { spaceId, representation }: { readonly spaceId: string; readonly representation: Float32Array },
  asked: readonly KnownSpace[],
): KnownSpace {
  const space = asked.find(({ info }) => info.spaceId === spaceId);
  if (space === undefined) {
    throw new NotFoundError(
      "SPACE_NOT_FOUND",
      `a representation lies in the space ${quoteText(spaceId)}, which is none of those searched: ${asked.map(toLabel).join(", ")}`,
      { spaceId: spaceId.slice(0, 64) },
    );
  }
  const { width } = space.info;
  if (representation.length === width) return space;
  throw new InvalidInputError(
    "SHAPE_MISMATCH",
    `a representation has ${representation.length} numbers; those of the space ${toLabel(space)} have ${width}`,
    { found: representation.length, expected: width },
  );
}
