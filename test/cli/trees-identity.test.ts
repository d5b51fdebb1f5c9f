import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { toDuplicateJson, toDuplicateLines } from "../../src/cli/duplicates-table.js";
import { NotFoundError } from "../../src/errors/probestream-error.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { toBase, toFullModel } from "../trees/tree-models.js";
import { runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

test("`trees duplicates` tells groups in a table and names what it could not read", async (t) => {
  const cwd = await createTemporaryFolder(t);
  await mkdir(join(cwd, "pile"));
  const [first, second] = [1, 2].map((seed) => toFullModel(toBase(1), seed, 0.1));
  for (const [name, bytes] of Object.entries({ a: first, b: second, c: first, broken: new Uint8Array(40) })) {
    await writeFile(join(cwd, "pile", `${name}.safetensors`), bytes ?? "");
  }
  const { code, stdout, stderr } = await runCli(["trees", "duplicates", "pile"], { cwd });
  t.is(code, 1);
  const [heading = "", , row = "", ...rest] = stdout.trimEnd().split("\n");
  t.regex(heading, /^kind +models +distance +files$/);
  t.regex(row, /^file +2 +0 +a\.safetensors, c\.safetensors$/);
  t.deepEqual(rest, []);
  t.regex(stderr, /3 models: 1 duplicate in 1 group\n1 model failed:\n.*HEADER_MALFORMED/);
});

test("`--json` has for each duplicate how it is the same, and as what", (t) => {
  const link = { kind: "dtype", of: "a", distance: 0.5 } as const;
  const models = [{ location: "a" }, { location: "b", link }] as const;
  const error = new NotFoundError("FILE_NOT_FOUND", "gone");
  const found = toDuplicateJson({
    groups: [{ kind: "dtype", distance: 0.5, models }],
    models: 3,
    skipped: [{ location: "c", error }],
  });
  t.deepEqual(found, {
    models: 3,
    groups: [{ kind: "dtype", distance: 0.5, models: [{ file: "a" }, { file: "b", ...link }] }],
    skipped: [{ file: "c", reason: "FILE_NOT_FOUND", message: "gone" }],
  });
});

test("`trees base` tells the nearest and the next, or that nothing is related", async (t) => {
  const cwd = await createTemporaryFolder(t);
  await mkdir(join(cwd, "bases"));
  for (const seed of [1, 2]) {
    await writeFile(join(cwd, "bases", `${seed}.safetensors`), toFullModel(toBase(seed), seed, 0));
  }
  await writeFile(join(cwd, "tuned.safetensors"), toFullModel(toBase(1), 9, 0.2));
  await writeFile(join(cwd, "foreign.safetensors"), toFullModel(toBase(3), 9, 0.2));
  const run = (model: string, ...words: readonly string[]) =>
    runInFolder(cwd, ["trees", "base", model, "--among", "./bases", "--layer", "blocks.1.out", ...words]);
  const [found, none] = await Promise.all([run("./tuned.safetensors"), run("./foreign.safetensors", "--json")]);
  t.is(found.code, 0);
  t.regex(found.stdout, /nearest +0\.0\d+ +yes +bases\/1\.safetensors\nnext +[12]\.\d+ +no +bases\/2\.safetensors\n/);
  t.is(none.code, 3);
  t.false(JSON.parse(none.stdout).candidates[0].isRelative);
  t.regex(none.stderr, /no relative among them/);
});

test("help of both teaches, within the width of a terminal", async (t) => {
  for (const name of ["duplicates", "base"]) {
    const { code, stdout } = await runCli(["trees", name, "--help"]);
    t.is(code, 0);
    t.true((stdout.match(new RegExp(`\\$ probestream trees ${name}\\b`, "g"))?.length ?? 0) >= 3);
    t.true(stdout.includes("Exit codes"));
    for (const line of stdout.split("\n")) t.true(line.length <= 110, line);
  }
});

test("many groups, and many files of one, are counted instead of listed", (t) => {
  const toModels = (group: number, count: number) => {
    const others = Array.from({ length: count - 1 }, (_, at) => ({ location: `m/${group}-${at + 1}` }));
    return [{ location: `m/${group}-0` }, ...others] as const;
  };
  const groups = Array.from({ length: 120 }, (_, at) => {
    return { kind: "dtype", models: toModels(at, at === 0 ? 9 : 2), distance: 0.00123 } as const;
  });
  const lines = toDuplicateLines({ groups, models: 300, skipped: [] });
  t.is(lines.length, 103);
  t.regex(lines[2] ?? "", /^dtype +9 +0\.12 % +0-0, 0-1, 0-2, 0-3, and 5 more$/);
  t.is(lines.at(-1), "and 20 smaller groups (--json names all)");
  t.deepEqual(toDuplicateLines({ groups: [], models: 3, skipped: [] }), []);
});
