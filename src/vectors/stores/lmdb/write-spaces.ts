import { assertSameWidth, assertSpace, assertSwitch } from "../../assert-space.js";
import type { SpaceSpec, SpaceStatus } from "../../vector-store.js";
import { logChanges } from "./change-log.js";
import type { Tables } from "./database.js";
import {
  readSpace,
  requireSpace,
  type StoredSpace,
  takeSpaceNumber,
  toSpaceStatus,
  writeSpace,
} from "./space-table.js";

/** Makes a space if it is not there. In a transaction; throws before it writes. */
export function ensureSpace(tables: Tables, spec: SpaceSpec, fill: boolean): SpaceStatus {
  assertSpace(spec);
  const found = readSpace(tables, spec.spaceId);
  if (found !== undefined) {
    assertSameWidth(found, spec);
    return toSpaceStatus(found);
  }
  const { spaceId, width, expertName } = spec;
  const state = fill ? "filling" : "serving";
  const number = takeSpaceNumber(tables);
  const space: StoredSpace = { spaceId, width, expertName, number, state, count: 0, slotEnd: 0 };
  writeSpace(tables, space);
  logChanges(tables, []);
  return toSpaceStatus(space);
}

/** Lets spaces serve and retires others. In a transaction; throws before it writes. */
export function switchSpaces(
  tables: Tables,
  change: { readonly serve: readonly string[]; readonly retire: readonly string[] },
): void {
  assertSwitch(change);
  const serve = change.serve.map((spaceId) => requireSpace(tables, spaceId));
  const retire = change.retire.map((spaceId) => requireSpace(tables, spaceId));
  for (const space of serve) writeSpace(tables, { ...space, state: "serving" });
  for (const space of retire) writeSpace(tables, { ...space, state: "retired" });
}

/**
 * Removes a space at once; what is of it is cleared later, in steps (see `clearDropped`). Returns its
 * number. In a transaction; throws before it writes.
 */
export function dropSpace(tables: Tables, spaceId: string): number {
  const { number } = requireSpace(tables, spaceId);
  tables.spaces.removeSync(Buffer.from(spaceId));
  logChanges(tables, []);
  return number;
}
