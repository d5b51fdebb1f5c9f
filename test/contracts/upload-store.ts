import test, { type ExecutionContext } from "ava";
import type { UploadStore } from "../../src/search/upload-store.js";
import { createUploadState } from "../helpers/upload-states.js";

/** What a store is held to. */
export interface UploadStoreContract {
  /** Its name, for the tests' titles. */
  readonly name: string;
  /** Shortest expiry that is tried, in milliseconds: longer than a save and a load take. Default 30. */
  readonly leastExpiryMs?: number;
  create(
    t: ExecutionContext,
    options: { readonly expiryMs?: number; readonly maxBytes?: number },
  ): Promise<UploadStore>;
}

/** Registers the tests that every store of unfinished uploads has to pass. */
export function testUploadStore({ name, leastExpiryMs = 30, create }: UploadStoreContract): void {
  const id = "upload-0123456789";

  test(`the ${name} store gives back what was saved last`, async (t) => {
    const store = await create(t, {});
    t.is(await store.load(id), undefined);
    await store.save(id, createUploadState(1));
    t.deepEqual(await store.load(id), createUploadState(1));
    await store.save(id, createUploadState(2));
    t.deepEqual(await store.load(id), createUploadState(2));
    t.deepEqual(await store.load(id), createUploadState(2), "loading keeps it");
  });

  test(`the ${name} store keeps uploads apart, whatever their ids`, async (t) => {
    const store = await create(t, {});
    const ids = [id, "UPLOAD-0123456789", "../../../etc/passwd", "a".repeat(128), "constructor-prototype"];
    for (const [seed, one] of ids.entries()) await store.save(one, createUploadState(seed));
    for (const [seed, one] of ids.entries()) t.deepEqual(await store.load(one), createUploadState(seed));
    await store.remove(id);
    t.is(await store.load(id), undefined);
    t.deepEqual(await store.load("../../../etc/passwd"), createUploadState(2));
  });

  test(`the ${name} store removes what it does not have without a word`, async (t) => {
    const store = await create(t, {});
    await t.notThrowsAsync(store.remove(id));
  });

  test(`the ${name} store forgets uploads that expired`, async (t) => {
    // Long enough to be loaded in, on a busy machine too.
    const expiryMs = Math.max(500, leastExpiryMs);
    const store = await create(t, { expiryMs });
    await store.save(id, createUploadState(1));
    t.deepEqual(await store.load(id), createUploadState(1));
    await new Promise((resolve) => setTimeout(resolve, 2 * expiryMs));
    t.is(await store.load(id), undefined);
  });

  test(`the ${name} store keeps a complete upload for a while, but no longer than one that is not`, async (t) => {
    const expiryMs = Math.max(500, leastExpiryMs);
    const store = await create(t, { expiryMs });
    await store.save(id, createUploadState(1));
    await store.retire(id);
    t.deepEqual(await store.load(id), createUploadState(1));
    await new Promise((resolve) => setTimeout(resolve, expiryMs + 100));
    t.is(await store.load(id), undefined);
    await t.notThrowsAsync(store.retire(id));
  });

  test(`the ${name} store lets complete uploads give way first when its room is full`, async (t) => {
    const store = await create(t, { maxBytes: 7000 });
    await store.save("kept-1-0123456789", createUploadState(1));
    await store.save("done-2-0123456789", createUploadState(2));
    await store.retire("done-2-0123456789");
    const saveUntilGone = async (gone: string): Promise<string> => {
      for (let seed = 0; ; seed++) {
        const next = `next-${gone}-${seed}`;
        await store.save(next, createUploadState(seed));
        if ((await store.load(gone)) === undefined || seed === 40) return next;
      }
    };
    await saveUntilGone("done-2-0123456789");
    t.is(await store.load("done-2-0123456789"), undefined);
    t.deepEqual(await store.load("kept-1-0123456789"), createUploadState(1));
    const last = await saveUntilGone("kept-1-0123456789");
    t.is(await store.load("kept-1-0123456789"), undefined);
    t.not(await store.load(last), undefined);
  });
}
