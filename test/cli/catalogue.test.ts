import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { makeExampleFolder, parseLines, runCli } from "./run-cli.js";

interface IndexLine {
  readonly model: string;
  readonly status: "indexed" | "skipped" | "failed";
  readonly copyOf?: string;
}

interface HitLine {
  readonly query: string;
  readonly rank: number;
  readonly model: string;
  readonly cosine: number;
}

let cwd = "";
const local = ["--local", "--experts", "experts", "--store", "store"];

test.before(async () => {
  cwd = await makeExampleFolder();
  await mkdir(join(cwd, "more"));
  await copyFile(join(cwd, "models", "jazz-lora-1.safetensors"), join(cwd, "more", "renamed.safetensors"));
  await writeFile(join(cwd, "more", "nonsense.safetensors"), "nothing of the kind");
  const rows = [
    "path,license,rank",
    "jazz-lora-1.safetensors,mit,4",
    "models/chess-lora-1.safetensors,mit,8",
    "gone,mit,1",
  ];
  await writeFile(join(cwd, "about.csv"), rows.join("\n"));
  const words = ["index", "models", ...local, "--meta", "source=example", "--metadata", "about.csv"];
  const { code, stderr } = await runCli(words, { cwd });
  if (code !== 0) throw new Error(stderr);
  if (!/^26 of 26 models indexed in /.test(stderr)) throw new Error(stderr);
  if (!stderr.includes('--metadata: no model for "gone" (line 4)')) throw new Error(stderr);
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

test("what is there is left out; other metadata is written all the same", async (t) => {
  const store = ["--local", "--store", "skips"];
  const files = ["models/chess-lora-1.safetensors", "models/chess-lora-2.safetensors"];
  const first = await runCli(["index", ...files, ...store, "--meta", "a=1"], { cwd });
  t.is(first.code, 0, first.stderr);
  const again = await runCli(["index", ...files, ...store, "--meta", "a=2", "--json"], { cwd });
  t.is(again.code, 0);
  t.deepEqual(
    parseLines<IndexLine>(again.stdout).map(({ status }) => status),
    ["skipped", "skipped"],
  );
  t.is(again.stderr, "0 of 2 models indexed, 2 there already, 2 of them with other metadata now\n");
  const { stdout } = await runCli(["catalogue", "get", "chess-lora-1.safetensors", ...store], { cwd });
  t.regex(stdout, /meta\.a +2\n/);
  // The same name, other weights.
  await mkdir(join(cwd, "other"));
  await copyFile(join(cwd, files[1] ?? ""), join(cwd, "other", "chess-lora-1.safetensors"));
  const changed = await runCli(["index", "other", ...store, "--json"], { cwd });
  t.deepEqual(
    parseLines<IndexLine>(changed.stdout).map(({ model, status }) => [model, status]),
    [["chess-lora-1.safetensors", "indexed"]],
  );
  t.regex(changed.stderr, /the same weights under two names: chess-lora-1\.safetensors = chess-lora-2\.safetensors\n$/);
});

test("copies are told of or left out, what cannot be read is named, and ids have their prefix", async (t) => {
  const words = ["index", "more", ...local, "--id-prefix", "more/", "--json", "--skip-copies"];
  const { code, stdout, stderr } = await runCli(words, { cwd });
  t.is(code, 1);
  t.deepEqual(
    parseLines<IndexLine>(stdout)
      .map(({ model, status, copyOf }) => [model, status, copyOf])
      .sort(),
    [
      ["more/nonsense.safetensors", "failed", undefined],
      ["more/renamed.safetensors", "skipped", "jazz-lora-1.safetensors"],
    ],
  );
  t.regex(stderr, /^0 of 2 models indexed, 1 copy left out\nleft out: more\/renamed\.safetensors = jazz-lora-1/);
  t.regex(stderr, /\n1 model failed:\n {2}LIMIT_EXCEEDED: /);
});

test("a list names models by its lines, and two models may not be called the same", async (t) => {
  await writeFile(join(cwd, "list.txt"), "models/jazz-lora-2.safetensors\n\nmodels/jazz-lora-3.safetensors\n");
  const { code, stdout } = await runCli(["index", "@list.txt", "--local", "--store", "listed", "--json"], { cwd });
  t.is(code, 0);
  t.deepEqual(
    parseLines<IndexLine>(stdout)
      .map(({ model }) => model)
      .sort(),
    ["models/jazz-lora-2.safetensors", "models/jazz-lora-3.safetensors"],
  );
  await mkdir(join(cwd, "twin"));
  await copyFile(join(cwd, "models", "jazz-lora-1.safetensors"), join(cwd, "twin", "jazz-lora-1.safetensors"));
  const both = await runCli(["index", "models", "twin", ...local], { cwd });
  t.is(both.code, 2);
  t.regex(both.stderr, /would both be called "jazz-lora-1\.safetensors"; .*--id-prefix\n$/);
});

test("models like one of the catalogue are found, without itself", async (t) => {
  const { code, stdout, stderr } = await runCli(["similar", "jazz-lora-1.safetensors", ...local, "-k", "2"], { cwd });
  t.is(code, 0);
  t.regex(
    stdout,
    /^# +cosine +model\n.*\n1 {2}█{10} +1\.000 {2}jazz-lora-[23]\.safetensors\n2 {2}█{10} +1\.000 {2}jazz-lora-[23]\.safetensors\n$/,
  );
  t.regex(stderr, /^cosines only: concepts-lora has no score calibration/);
});

test("a file that is not in the catalogue is embedded for its query", async (t) => {
  const words = ["similar", "more/renamed.safetensors", ...local, "-k", "3", "--json"];
  const { code, stdout } = await runCli(words, { cwd });
  t.is(code, 0);
  const hits = parseLines<HitLine>(stdout);
  t.deepEqual(
    hits.map(({ rank, query }) => [rank, query]),
    [1, 2, 3].map((rank) => [rank, "more/renamed.safetensors"]),
  );
  t.deepEqual(
    hits.map(({ model }) => model).sort(),
    [1, 2, 3].map((copy) => `jazz-lora-${copy}.safetensors`),
  );
});

test("examples are refined by what is not wanted, under a filter, with columns of one's own", async (t) => {
  const like = ["--like", "jazz-lora-1.safetensors", "--like", "chess-lora-2.safetensors"];
  const unlike = ["--unlike", "file:models/jazz-lora-2.safetensors"];
  const { stdout } = await runCli(["search", ...like, ...unlike, ...local, "-k", "2", "--show", "claim.concept"], {
    cwd,
  });
  t.regex(stdout, / {2}claim\.concept\n/);
  t.regex(stdout, /\n1 .* chess-lora-[13]\.safetensors +chess\n2 .* chess-lora-[13]\.safetensors +chess\n$/);
  const where = ["--where", "claim.concept != chess", "--where", "exists meta.license"];
  const filtered = await runCli(["search", ...like, ...where, ...local, "--json"], { cwd });
  // The one of the two that is an example is not among the hits.
  t.deepEqual(parseLines<HitLine>(filtered.stdout), []);
  const other = await runCli(["search", "--like", "chess-lora-2.safetensors", ...where, ...local, "--json"], { cwd });
  t.deepEqual(
    parseLines<HitLine>(other.stdout).map(({ model }) => model),
    ["jazz-lora-1.safetensors"],
  );
});

test("a word that is neither a model nor a file is told of with names like it", async (t) => {
  const { code, stdout, stderr } = await runCli(["similar", "jazz-lora-9.safetensors", ...local], { cwd });
  t.is(code, 3);
  t.is(stdout, "");
  t.is(
    stderr,
    'probestream: no model "jazz-lora-9.safetensors" in the catalogue, and no such file; the nearest are "jazz-lora-1.safetensors", "jazz-lora-2.safetensors", "jazz-lora-3.safetensors"\n',
  );
  const get = await runCli(["catalogue", "get", "jazz-lora-1.safetensors", "nosuch", ...local, "--json"], { cwd });
  t.is(get.code, 1);
  t.is(parseLines<{ id: string }>(get.stdout).length, 1);
  t.regex(get.stderr, /^no model "nosuch" in the catalogue/);
});

test("a field that no model has, and a filter that cannot be read, are errors of the command line", async (t) => {
  for (const [filter, message] of [
    ["meta.licence = mit", /meta\.licence/],
    ["license = mit", /character 1: "license": no field has this name/],
  ] as const) {
    const { code, stderr } = await runCli(["catalogue", "list", ...local, "--where", filter], { cwd });
    t.is(code, 2);
    t.regex(stderr, message);
  }
});

test("spaces and models are listed", async (t) => {
  const spaces = await runCli(["catalogue", "spaces", ...local], { cwd });
  t.is(spaces.code, 0);
  t.regex(spaces.stdout, /concepts-dense +[0-9a-f]{12} +serving +2 +16 +cosines only +claim\.concept, /);
  t.regex(spaces.stdout, /concepts-lora +[0-9a-f]{12} +serving +24 +16 /);
  t.regex(spaces.stderr, /^lmdb at .*store: 26 records in all\n$/);
  const listed = await runCli(["catalogue", "list", ...local, "--where", "meta.rank >= 4"], { cwd });
  t.regex(listed.stdout, /^model +expert +tree +base +metadata\n-.*\nchess-lora-1\.safetensors +concepts-lora +- +- +/);
  t.regex(listed.stdout, /\njazz-lora-1\.safetensors .*license=mit.*\n$/);
  const few = await runCli(["catalogue", "list", ...local, "--limit", "3", "--json"], { cwd });
  t.is(parseLines(few.stdout).length, 3);
  t.is(few.stderr, "the first 3; --limit sets how many\n");
});

test("what is said of a model is changed and taken back, and models are removed", async (t) => {
  const store = ["--local", "--store", "changes"];
  await runCli(["index", "models", ...store, "--meta", "a=1"], { cwd });
  const id = "birds-lora-1.safetensors";
  const set = await runCli(
    ["catalogue", "set", id, "rank=16", 'version="2"', "ok=true", "--remove", "a", ...store, "--json"],
    { cwd },
  );
  t.is(set.code, 0, set.stderr);
  t.deepEqual(
    parseLines<{ metadata: unknown }>(set.stdout).map(({ metadata }) => metadata),
    [{ rank: 16, version: "2", ok: true }],
  );
  const asked = await runCli(["catalogue", "delete", "--where", "claim.concept in (birds, chess)", ...store], { cwd });
  t.is(asked.code, 2);
  t.is(asked.stderr, "probestream: 7 models would be removed; --yes does it\n");
  const gone = await runCli(["catalogue", "delete", "--where", "claim.concept in (birds, chess)", "--yes", ...store], {
    cwd,
  });
  t.is(gone.code, 0);
  t.is(gone.stderr, "7 models removed\n");
  const named = await runCli(["catalogue", "delete", "jazz-lora-1.safetensors", id, ...store], { cwd });
  t.is(named.code, 1);
  t.regex(named.stderr, /^1 model removed\nno model "birds-lora-1\.safetensors" in the catalogue/);
  const drop = await runCli(["catalogue", "drop", "concepts-dense", ...store, "--yes"], { cwd });
  t.is(drop.code, 0);
  t.regex(drop.stderr, /^concepts-dense \([0-9a-f]{12}\) with 1 model is removed\n$/);
  const missing = await runCli(["catalogue", "drop", "concepts-dens", ...store], { cwd });
  t.is(missing.code, 3);
  t.regex(missing.stderr, /no space "concepts-dens" in the catalogue; it has concepts-lora \(/);
});

test("a space that is filled is searched once it is switched to", async (t) => {
  const store = ["--local", "--store", "filled"];
  const filled = await runCli(["index", "models", ...store, "--expert", "concepts-lora", "--fill", "--quiet"], { cwd });
  t.is(filled.code, 1, "the full models do not fit");
  const before = await runCli(["similar", "jazz-lora-1.safetensors", ...store], { cwd });
  t.is(before.code, 3);
  t.regex(before.stderr, /none of its 1 serves: concepts-lora \([0-9a-f]{12}\) is filling\n$/);
  const switched = await runCli(["catalogue", "switch", "concepts-lora", ...store], { cwd });
  t.is(switched.code, 0);
  const after = await runCli(["similar", "jazz-lora-1.safetensors", ...store, "--json", "-k", "1"], { cwd });
  t.regex(after.stdout, /"model":"jazz-lora-/);
});

test("an export is imported again bit for bit, and other forms hold the same", async (t) => {
  const space = ["--space", "concepts-lora"];
  const exported = await runCli(["export", ...space, ...local], { cwd });
  t.is(exported.code, 0, exported.stderr);
  t.regex(exported.stderr, /^24 records of concepts-lora \([0-9a-f]{12}\) exported\n$/);
  await writeFile(join(cwd, "all.jsonl"), exported.stdout);
  const imported = await runCli(["catalogue", "import", "all.jsonl", "--local", "--store", "copy"], { cwd });
  t.is(imported.code, 0, imported.stderr);
  const again = await runCli(["export", "--local", "--store", "copy", "--out", "again.jsonl", "--quiet"], { cwd });
  t.is(again.stderr, "");
  t.is(await readFile(join(cwd, "again.jsonl"), "utf8"), exported.stdout);

  await runCli(["export", ...space, ...local, "--format", "safetensors", "--out", "all.safetensors"], { cwd });
  const { tensors, metadata } = await readTensors(join(cwd, "all.safetensors"));
  t.deepEqual(tensors.get("representations")?.shape, [24, 16]);
  t.is(metadata.get("expert"), "concepts-lora");
  t.is(metadata.get("records"), "all.jsonl");
  const lines = exported.stdout.split("\n").slice(1, 25);
  const vectors = lines.map((line) => Buffer.from(JSON.parse(line).representation, "base64"));
  t.deepEqual(Buffer.from(tensors.get("representations")?.bytes ?? []), Buffer.concat(vectors));
  t.deepEqual(
    parseLines<{ id: string }>(await readFile(join(cwd, "all.jsonl"), "utf8")).map(({ id }) => id),
    lines.map((line) => JSON.parse(line).id),
  );

  const csv = await runCli(["export", ...space, ...local, "--format", "csv", "--where", "exists meta.rank"], { cwd });
  t.regex(csv.stdout, /^id,weights_hash,file_hash,tree,base,created,updated,.*meta\.license,meta\.rank,meta\.source\n/);
  t.regex(csv.stdout, /\njazz-lora-1\.safetensors,[0-9a-f]{64},,,,20.*,mit,4,example\n$/);
  t.deepEqual(
    (await readdir(cwd)).filter((name) => name.endsWith(".part")),
    [],
  );
});

test("an export of several spaces is refused with their names, and safetensors need a file", async (t) => {
  const { code, stderr } = await runCli(["export", ...local], { cwd });
  t.is(code, 2);
  t.regex(stderr, /name it with --space: concepts-dense \([0-9a-f]{12}\), concepts-lora \([0-9a-f]{12}\)\n$/);
  const tensors = await runCli(["export", ...local, "--space", "concepts-lora", "--format", "safetensors"], { cwd });
  t.is(tensors.code, 2);
});

test("models that are nearly the same are found, each pair once", async (t) => {
  const store = ["--local", "--store", "pairs"];
  await runCli(
    [
      "index",
      "models/jazz-lora-1.safetensors",
      "more/renamed.safetensors",
      "models/chess-lora-1.safetensors",
      ...store,
    ],
    { cwd },
  );
  const { code, stdout } = await runCli(["catalogue", "duplicates", ...store], { cwd });
  t.is(code, 0);
  t.regex(stdout, /\njazz-lora-1\.safetensors +renamed\.safetensors +1\.0000 +the same\n$/);
});

test("what is the server's to choose is not chosen here, and nothing is asked for nothing", async (t) => {
  for (const [words, message] of [
    [["search", "jazz", "--store", "store"], /--store is the server's to choose; with --local it is yours/],
    [["search", ...local], /nothing is asked for; give a text/],
    [["search", " ", ...local], /a text is empty/],
    [["index", ...local], /nothing is to be indexed/],
    [["catalogue", "set", "x", ...local], /nothing is to be changed/],
    [["catalogue", "delete", ...local], /by their ids or by --where/],
    [["similar", "text:jazz", ...local], /is no model/],
  ] as const) {
    const { code, stderr } = await runCli(words, { cwd });
    t.is(code, 2, stderr);
    t.regex(stderr, message);
  }
});
