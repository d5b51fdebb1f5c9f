import test from "ava";
import { uploadStateBytes } from "../../../src/search/upload-state.js";
import { createMemoryUploadStore } from "../../../src/search/upload-stores/memory.js";
import { testUploadStore } from "../../contracts/upload-store.js";
import { createUploadState } from "../../helpers/upload-states.js";

testUploadStore({ name: "memory", create: async (_, options) => createMemoryUploadStore(options) });

const bytes = uploadStateBytes(createUploadState(1));

test("the oldest uploads give way when the room is full", async (t) => {
  const store = createMemoryUploadStore({ maxBytes: 3 * bytes });
  t.is(store.memoryBytes, 3 * bytes);
  for (const id of ["a", "b", "c"]) await store.save(id, createUploadState(1));
  // A save makes an upload the youngest again.
  await store.save("a", createUploadState(2));
  await store.save("d", createUploadState(3));
  t.is(await store.load("b"), undefined);
  for (const id of ["a", "c", "d"]) t.not(await store.load(id), undefined, id);
  await store.remove("c");
  await store.save("e", createUploadState(4));
  for (const id of ["a", "d", "e"]) t.not(await store.load(id), undefined, id);
});

test("an upload larger than all the room is not kept, and crowds the rest out", async (t) => {
  const store = createMemoryUploadStore({ maxBytes: bytes - 1 });
  await store.save("a", createUploadState(1));
  t.is(await store.load("a"), undefined);
});

test("the room does not shrink by saving one upload again and again", async (t) => {
  const store = createMemoryUploadStore({ maxBytes: 2 * bytes });
  await store.save("b", createUploadState(0));
  for (let round = 0; round < 10; round++) await store.save("a", createUploadState(round));
  t.deepEqual(await store.load("a"), createUploadState(9));
  t.deepEqual(await store.load("b"), createUploadState(0));
});
