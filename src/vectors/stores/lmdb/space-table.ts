import { toSpaceMissing } from "../../assert-space.js";
import type { CountedSpace, SpaceSpec, SpaceState, SpaceStatus } from "../../vector-store.js";
import { infoKeys, type Tables } from "./database.js";
import { toNumberKey } from "./keys.js";

/** A space as the table `spaces` keeps it. */
export interface StoredSpace extends SpaceSpec {
  /** Stands for the space in keys; no other space ever gets it. */
  readonly number: number;
  readonly state: SpaceState;
  /** Records. */
  readonly count: number;
  /** Slots, free ones as well. */
  readonly slotEnd: number;
}

/** A space; undefined if there is none. */
export function readSpace({ spaces }: Tables, spaceId: string): StoredSpace | undefined {
  const value = spaces.getBinary(Buffer.from(spaceId));
  return value && JSON.parse(value.toString());
}

/**
 * A space that has to be there.
 *
 * @throws NotFoundError `SPACE_NOT_FOUND`
 */
export function requireSpace(tables: Tables, spaceId: string): StoredSpace {
  const space = readSpace(tables, spaceId);
  if (space === undefined) throw toSpaceMissing(spaceId);
  return space;
}

/** All spaces. */
export function readSpaces({ spaces }: Tables): readonly StoredSpace[] {
  return [...spaces.getRange({})].map(({ value }) => JSON.parse(value.toString()));
}

/** Writes a space. In a transaction. */
export function writeSpace({ spaces }: Tables, space: StoredSpace): void {
  spaces.putSync(Buffer.from(space.spaceId), Buffer.from(JSON.stringify(space)));
}

/** A number for a new space. In a transaction. */
export function takeSpaceNumber({ info }: Tables): number {
  const number = info.getBinary(infoKeys.nextSpace)?.readUInt32BE() ?? 1;
  info.putSync(infoKeys.nextSpace, toNumberKey(number + 1));
  return number;
}

/** What a caller hears of a space. */
export function toSpaceStatus({ spaceId, width, expertName, state }: StoredSpace): SpaceStatus {
  return { spaceId, width, expertName, state };
}

/** What a caller hears of a space and its records: the search of this store leaves none out. */
export function toCountedSpace(space: StoredSpace): CountedSpace {
  return { ...toSpaceStatus(space), count: space.count, indexed: space.count };
}
