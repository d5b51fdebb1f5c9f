import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { adjustedRandIndex } from "../../src/trees/discovery/adjusted-rand-index.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { toBase, toFullModel, toLoraModel } from "../trees/tree-models.js";
import { runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

/** 62 models: two trees of the same shapes, one of LoRAs, and one model unlike all others, in folders called after them. */
async function writePile(t: ExecutionContext): Promise<string> {
  const cwd = await createTemporaryFolder(t);
  const trees = [
    { name: "first", count: 25, make: (at: number) => toFullModel(toBase(1), 100 + at, 0.2) },
    { name: "second", count: 16, make: (at: number) => toFullModel(toBase(2), 200 + at, 0.05 * (1 + (at % 6))) },
    { name: "loras", count: 20, make: (at: number) => toLoraModel(toBase(3), 300 + at) },
    { name: "single", count: 1, make: () => toFullModel(toBase(4), 400, 0.2) },
  ];
  for (const { name, count, make } of trees) {
    await mkdir(join(cwd, "pile", name), { recursive: true });
    for (let at = 0; at < count; at++) await writeFile(join(cwd, "pile", name, `${at}.safetensors`), make(at));
  }
  return cwd;
}

interface Found {
  readonly trees: readonly {
    readonly id: number;
    readonly total: number;
    readonly models: readonly { file: string }[];
  }[];
  readonly skipped: readonly { readonly file: string; readonly reason: string }[];
}

test("`trees discover` finds the trees of a pile, tells them in a table and writes all three files", async (t) => {
  const cwd = await writePile(t);
  await writeFile(join(cwd, "pile", "broken.safetensors"), new Uint8Array(40));
  await writeFile(join(cwd, "pile", "foreign.safetensors"), "<html>");
  const files = ["--json", "trees.json", "--dot", "trees.dot", "--svg", "trees.svg"];
  const { code, stdout, stderr } = await runCli(["trees", "discover", "pile", ...files], { cwd });
  t.is(code, 1);
  const [heading = "", , ...rows] = stdout.trimEnd().split("\n");
  t.regex(heading, /^tree +of +models +kind +layer +median +radius +for example$/);
  t.deepEqual(
    rows.map((row) => /^(\d+) +(\d+) +(dense|lora) +(\S+)/.exec(row)?.slice(1)),
    [
      ["1", "25", "dense", "blocks.1.out.weight"],
      ["2", "20", "lora", "blocks.1.out"],
      ["3", "16", "dense", "blocks.1.out.weight"],
      ["4", "1", "dense", "blocks.1.out.weight"],
    ],
  );
  t.regex(stderr, /42 models \(dense\) compared by blocks\.1\.out\.weight \[32, 32\]\n/);
  t.regex(stderr, /62 models of 2 signatures: 4 trees\n2 models failed:\n/);
  t.regex(stderr, /HEADER_MALFORMED: .*broken\.safetensors/);
  t.regex(stderr, /FORMAT_REFUSED: .*foreign\.safetensors/);
  const found: Found = JSON.parse(await readFile(join(cwd, "trees.json"), "utf8"));
  const members = found.trees.flatMap(({ id, models }) => models.map(({ file }) => [id, file.split("/")[1]] as const));
  t.is(members.length, 62);
  t.is(
    adjustedRandIndex(
      members.map(([id]) => id),
      members.map(([, name]) => name ?? ""),
    ),
    1,
  );
  t.deepEqual(
    found.skipped.map(({ file, reason }) => [file, reason]),
    [
      ["pile/broken.safetensors", "HEADER_MALFORMED"],
      ["pile/foreign.safetensors", "FORMAT_REFUSED"],
    ],
  );
  t.regex(await readFile(join(cwd, "trees.dot"), "utf8"), /tree1 \[label="tree 1\\n25 models, dense/);
  t.regex(await readFile(join(cwd, "trees.svg"), "utf8"), /tree 3: 16 models/);
});

test("`trees discover` takes a layer, a number of trees and standard output, and says what it cannot do", async (t) => {
  const cwd = await writePile(t);
  const two = ["trees", "discover", "./pile/first", "./pile/second"];
  const one = await runInFolder(cwd, [...two, "--json", "-", "--trees", "1", "--no-nested"]);
  t.is(one.code, 0);
  const found: Found = JSON.parse(one.stdout);
  t.deepEqual(
    found.trees.map(({ total }) => total),
    [41],
  );
  const lost = await runInFolder(cwd, ["trees", "discover", "./pile", "--layer", "blocks.1.outt", "--quiet"]);
  t.is(lost.code, 3);
  t.regex(lost.stderr, /LAYER_NOT_FOUND: .*blocks\.1\.out/);
  for (const words of [
    ["--svg", "-", "--json", "-"],
    ["--trees", "1"],
  ]) {
    const { code, stdout } = await runInFolder(cwd, ["trees", "discover", "./pile", ...words]);
    t.deepEqual([code, stdout], [2, ""]);
  }
});

test("`trees discover --help` teaches what trees are and how to find them", async (t) => {
  const { code, stdout } = await runCli(["trees", "discover", "--help"]);
  t.is(code, 0);
  for (const mention of ["--layer", "--trees", "--no-nested", "--svg", "Exit codes", "ancestor", "LoRA"]) {
    t.true(stdout.includes(mention), mention);
  }
  t.true((stdout.match(/\$ probestream trees discover\b/g)?.length ?? 0) >= 3);
  for (const line of stdout.split("\n")) t.true(line.length <= 110, line);
});
