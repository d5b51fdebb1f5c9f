import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { toDuplicateLines } from "../../src/cli/duplicates-table.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { toBase, toFullModel, toLoraModel } from "../trees/tree-models.js";
import { runCli } from "./run-cli.js";

test("`trees duplicates` tells groups in a table or as JSON, and names what it could not read", async (t) => {
  const cwd = await createTemporaryFolder(t);
  await mkdir(join(cwd, "pile"));
  const [first, second] = [1, 2].map((seed) => toFullModel(toBase(1), seed, 0.1));
  for (const [name, bytes] of Object.entries({ a: first, b: second, c: first })) {
    await writeFile(join(cwd, "pile", `${name}.safetensors`), bytes ?? "");
  }
  const { code, stdout, stderr } = await runCli(["trees", "duplicates", "pile"], { cwd });
  t.is(code, 0);
  const [heading = "", , row = "", ...rest] = stdout.trimEnd().split("\n");
  t.regex(heading, /^kind +models +distance +files$/);
  t.regex(row, /^file +2 +0 +a\.safetensors, c\.safetensors$/);
  t.deepEqual(rest, []);
  t.regex(stderr, /3 models: 1 duplicate in 1 group\n/);
  await writeFile(join(cwd, "pile", "broken.safetensors"), new Uint8Array(40));
  const json = await runCli(["trees", "duplicates", "pile", "--json", "--quiet"], { cwd });
  t.is(json.code, 1);
  t.deepEqual(JSON.parse(json.stdout).groups, [
    {
      kind: "file",
      distance: 0,
      models: [
        { file: "pile/a.safetensors" },
        { file: "pile/c.safetensors", kind: "file", of: "pile/a.safetensors", distance: 0 },
      ],
    },
  ]);
  t.regex(json.stderr, /^1 model failed:\n.*HEADER_MALFORMED/);
});

test("`trees base` tells the nearest and the next, or that nothing is related", async (t) => {
  const cwd = await createTemporaryFolder(t);
  await mkdir(join(cwd, "bases"));
  for (const seed of [1, 2]) {
    await writeFile(join(cwd, "bases", `${seed}.safetensors`), toFullModel(toBase(seed), seed, 0));
  }
  await writeFile(join(cwd, "tuned.safetensors"), toFullModel(toBase(1), 9, 0.2));
  await writeFile(join(cwd, "foreign.safetensors"), toFullModel(toBase(3), 9, 0.2));
  await writeFile(join(cwd, "lora.safetensors"), toLoraModel(toBase(1), 9));
  const run = (model: string, ...words: readonly string[]) =>
    runCli(["trees", "base", model, "--among", "bases", "--layer", "blocks.1.out", ...words], { cwd });
  const [found, none, lora] = await Promise.all([
    run("tuned.safetensors"),
    run("foreign.safetensors", "--json"),
    run("lora.safetensors"),
  ]);
  t.is(found.code, 0);
  t.regex(found.stdout, /nearest +0\.0\d+ +yes +bases\/1\.safetensors\nnext +[12]\.\d+ +no +bases\/2\.safetensors\n/);
  t.is(none.code, 3);
  t.false(JSON.parse(none.stdout).candidates[0].isRelative);
  t.regex(none.stderr, /no relative among them/);
  t.is(lora.code, 2);
  t.regex(lora.stderr, /is an adapter/);
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
