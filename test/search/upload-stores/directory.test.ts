import { mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { UploadStore } from "../../../src/search/upload-store.js";
import { openDirectoryUploadStore } from "../../../src/search/upload-stores/directory.js";
import { testUploadStore } from "../../contracts/upload-store.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { createUploadState } from "../../helpers/upload-states.js";

const id = "upload-0123456789";

async function open(
  t: ExecutionContext,
  folder: string,
  options: { expiryMs?: number; maxBytes?: number } = {},
): Promise<UploadStore> {
  const store = await openDirectoryUploadStore(folder, options);
  t.teardown(() => store.close());
  return store;
}

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("a folder where Linux lets nobody make one is refused, and not tried for ever", async (t) => {
  const error = await t.throwsAsync(() => openDirectoryUploadStore("/proc/probestream/uploads"));
  t.like(error, { code: "ENOENT" });
});

testUploadStore({
  name: "directory",
  create: async (t, options) => open(t, await createTemporaryFolder(t), options),
});

test("an upload survives a restart", async (t) => {
  const folder = join(await createTemporaryFolder(t), "made", "when absent");
  const before = await openDirectoryUploadStore(folder);
  t.is(before.memoryBytes, 0);
  await before.save(id, createUploadState(1));
  await before.close();
  const after = await open(t, folder);
  t.deepEqual(await after.load(id), createUploadState(1));
  const other = await open(t, folder);
  await other.remove(id);
  t.is(await after.load(id), undefined);
  t.deepEqual(await readdir(folder), []);
});

for (const [title, damage] of [
  ["cut off", (path: string) => truncate(path, 700)],
  ["empty", (path: string) => truncate(path, 0)],
  ["of another kind", (path: string) => writeFile(path, "no safetensors at all")],
  [
    "of another layout",
    async (path: string) => {
      const bytes = await readFile(path);
      const at = bytes.indexOf("probestream-upload/1");
      bytes.write("probestream-upload/9", at);
      await writeFile(path, bytes);
    },
  ],
] as const) {
  test(`a file that is ${title} counts as none and is removed`, async (t) => {
    const folder = await createTemporaryFolder(t);
    const store = await open(t, folder);
    await store.save(id, createUploadState(1));
    const [name = ""] = await readdir(folder);
    await damage(join(folder, name));
    t.is(await store.load(id), undefined);
    t.deepEqual(await readdir(folder), []);
    await store.save(id, createUploadState(2));
    t.deepEqual(await store.load(id), createUploadState(2));
  });
}

test("a start sweeps expired uploads and leftovers away, and leaves other files alone", async (t) => {
  const folder = await createTemporaryFolder(t);
  const first = await open(t, folder);
  await first.save("old-upload-0123456", createUploadState(1));
  const [old = ""] = await readdir(folder);
  await writeFile(join(folder, `${old}.leftover`), "half a file");
  await writeFile(join(folder, "notes.txt"), "mine");
  for (const name of await readdir(folder)) await utimes(join(folder, name), 1, 1);
  await first.save(id, createUploadState(2));
  const second = await open(t, folder, { expiryMs: 60_000 });
  const left = await readdir(folder);
  t.is(left.length, 2);
  t.true(left.includes("notes.txt"));
  t.deepEqual(await second.load(id), createUploadState(2));
});

test("a save that fails leaves nothing behind", async (t) => {
  const folder = await createTemporaryFolder(t);
  const store = await open(t, folder);
  await store.save(id, createUploadState(1));
  const [name = ""] = await readdir(folder);
  await rm(join(folder, name));
  // A folder that is not empty cannot be replaced by a file.
  await mkdir(join(folder, name, "in the way"), { recursive: true });
  await t.throwsAsync(store.save(id, createUploadState(2)));
  t.deepEqual(await readdir(folder), [name]);
});
