import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { makeFolder } from "../../src/system/make-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const onLinux = process.platform === "linux" ? test : test.skip;

test("a folder is made with those above it, and one that is there stays", async (t) => {
  const folder = join(await createTemporaryFolder(t), "a", "b", "c");
  await makeFolder(folder);
  await writeFile(join(folder, "kept"), "");
  await makeFolder(folder);
  t.true((await stat(join(folder, "kept"))).isFile());
});

test("several may make the same folder at the same time", async (t) => {
  const folder = join(await createTemporaryFolder(t), "a", "b", "c");
  await Promise.all(Array.from({ length: 8 }, () => makeFolder(folder)));
  t.true((await stat(folder)).isDirectory());
});

test("a file that has the name, or is above it, is told from other faults", async (t) => {
  const file = join(await createTemporaryFolder(t), "file");
  await writeFile(file, "");
  t.like(await t.throwsAsync(() => makeFolder(file)), { code: "EEXIST" });
  t.like(await t.throwsAsync(() => makeFolder(join(file, "a", "b"))), { code: "ENOTDIR" });
});

onLinux("where Linux lets nobody make folders it ends", async (t) => {
  t.like(await t.throwsAsync(() => makeFolder("/proc/probestream/a/b")), { code: "ENOENT" });
});
