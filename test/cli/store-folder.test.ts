import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { runInProcess } from "./run-in-process.js";

test("commands that only read make no store, and say where they looked for one", async (t) => {
  const folder = await createTemporaryFolder(t);
  const none = join(folder, "nosuch-store");
  const local = ["--local", "--experts", join("demo", "experts"), "--store", none];
  for (const words of [
    ["search", "red circle"],
    ["similar", "a.safetensors"],
    ["classify", "a.safetensors"],
    ["catalogue", "list"],
    ["catalogue", "get", "a"],
    ["catalogue", "set", "a", "b=1"],
    ["catalogue", "delete", "a"],
    ["catalogue", "spaces"],
    ["catalogue", "duplicates"],
    ["export"],
  ]) {
    const { code, stderr } = await runInProcess([...words, ...local]);
    t.is(code, 3, `${words.join(" ")}: ${stderr}`);
    t.true(stderr.includes(`there is no catalogue in "${none}"; check --store`), stderr);
  }
  t.deepEqual(await readdir(folder), []);
});

test("an index without a usable expert makes no store, and does not ask to be given again", async (t) => {
  const folder = await createTemporaryFolder(t);
  await writeFile(join(folder, "a.safetensors"), "nothing of the kind");
  const words = [
    "index",
    join(folder, "a.safetensors"),
    "--local",
    "--store",
    join(folder, "store"),
    "--backend",
    "wasm",
  ];
  const absent = await runInProcess([...words, "--experts", join(folder, "none")]);
  t.is(absent.code, 3, absent.stderr);
  const unknown = await runInProcess([...words, "--experts", join("demo", "experts"), "--expert", "nosuch"]);
  t.is(unknown.code, 3, unknown.stderr);
  for (const { stderr } of [absent, unknown]) t.notRegex(stderr, /give the command again/);
  t.deepEqual(await readdir(folder), ["a.safetensors"]);
});

test("a folder of something else is no place for a store; a new volume's and an empty one are", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [models, volume] = [join(folder, "models"), join(folder, "volume")];
  await mkdir(models);
  await writeFile(join(models, "a.safetensors"), "nothing of the kind");
  await mkdir(join(volume, "lost+found"), { recursive: true });
  const local = ["--local", "--experts", join("demo", "experts"), "--backend", "wasm"];
  const words = ["index", join(models, "a.safetensors"), ...local, "--store"];
  const refused = await runInProcess([...words, models]);
  t.is(refused.code, 2, refused.stderr);
  t.regex(refused.stderr, /models" is no store, and not empty: it has "a\.safetensors"; name a store/);
  t.deepEqual(await readdir(models), ["a.safetensors"]);
  for (let time = 1; time <= 2; time++) {
    // The file cannot be embedded, and the store is there.
    const { code, stderr } = await runInProcess([...words, volume]);
    t.is(code, 3, stderr);
    t.regex(stderr, /damaged or no safetensors file/);
    t.deepEqual(await readdir(volume), ["catalogue.mdb", "catalogue.mdb-lock", "lost+found"]);
  }
});
