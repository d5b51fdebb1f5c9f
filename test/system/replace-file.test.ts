import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { replaceFile } from "../../src/system/replace-file.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("a file is replaced whole, and one that cannot be leaves nothing behind", async (t) => {
  const folder = await createTemporaryFolder(t);
  const path = join(folder, "file");
  await replaceFile(path, "one");
  await replaceFile(path, Uint8Array.of(50));
  t.is(await readFile(path, "utf8"), "2");
  await mkdir(join(folder, "taken"));
  await t.throwsAsync(() => replaceFile(join(folder, "taken"), "x"));
  t.deepEqual((await readdir(folder)).sort(), ["file", "taken"]);
});
