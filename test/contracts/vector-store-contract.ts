import type { ExecutionContext } from "ava";
import type { SpaceSpec, VectorStore } from "../../src/vectors/vector-store.js";
import { createSpace } from "../helpers/vector-records.js";

/** What a store is held to. */
export interface VectorStoreContract {
  /** Its name, for the tests' titles. */
  readonly name: string;
  /** Gives a store without spaces. Tests run one after another, so that all may have the same. */
  create(t: ExecutionContext): Promise<VectorStore>;
  /** Error of cosines, absolute: what float32 sums at unit length come to. */
  readonly tolerance: number;
  /** Random filters that are tried. Default 300. */
  readonly filterCount?: number;
}

/** A store with a space that serves. */
export async function withSpace(
  t: ExecutionContext,
  { create }: VectorStoreContract,
  space: SpaceSpec = createSpace("one"),
): Promise<{ store: VectorStore; spaceId: string }> {
  const store = await create(t);
  await store.ensureSpace(space);
  return { store, spaceId: space.spaceId };
}
