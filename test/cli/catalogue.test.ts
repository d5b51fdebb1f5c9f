import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "ava";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { type CliResult, makeExampleFolder, parseLines } from "./run-cli.js";
import { runInProcess } from "./run-in-process.js";

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
/** One with all models, which no test changes, and others that are empty at first. */
const servers: RunningServer[] = [];

/** A server with a catalogue of its own, on the example's experts. */
async function start(hasStore = true): Promise<readonly string[]> {
  const experts = openCatalogue(join(cwd, "experts"));
  // Backends are not measured anew for each.
  const settings = { workerCount: 1, backend: "wasm", memoryBudgetBytes: 2 ** 30 } as const;
  const store = hasStore ? createMemoryStore() : undefined;
  const server = await startServer({ ...settings, catalogue: experts, store });
  servers.push(server);
  return ["--server", `${server.host}:${server.port}`];
}

let full: readonly string[] = [];

/** Runs a command in this process; words that begin with ./ or @./ are below the example's folder. */
function run(words: readonly string[], at: readonly string[] = full): Promise<CliResult> {
  return runInProcess([...words.map((word) => word.replace(/^(@?)\.\//, `$1${cwd}/`)), ...at]);
}

test.before("a folder is indexed with what is known of its models", async (t) => {
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
  full = await start();
  const { code, stderr } = await run(["index", "./models", "--meta", "source=example", "--metadata", "./about.csv"]);
  t.is(code, 0, stderr);
  t.regex(stderr, /^26 of 26 models indexed in [^\n]+\n--metadata: no model for "gone" \(line 4\)\n$/);
});
test.after.always(async () => {
  for (const server of servers) await server.close(0);
  await rm(cwd, { recursive: true, force: true });
});

test("what is there is left out; other metadata is written all the same", async (t) => {
  const at = await start();
  const files = ["./models/chess-lora-1.safetensors", "./models/chess-lora-2.safetensors"];
  const first = await run(["index", ...files, "--meta", "a=1"], at);
  t.is(first.code, 0, first.stderr);
  const again = await run(["index", ...files, "--meta", "a=2", "--json"], at);
  t.is(again.code, 0);
  t.deepEqual(
    parseLines<IndexLine>(again.stdout).map(({ status }) => status),
    ["skipped", "skipped"],
  );
  t.is(again.stderr, "0 of 2 models indexed, 2 there already, 2 of them with other metadata now\n");
  const { stdout } = await run(["catalogue", "get", "chess-lora-1.safetensors"], at);
  t.regex(stdout, /meta\.a +2\n/);
  // The same name, other weights.
  await mkdir(join(cwd, "other"));
  await copyFile(join(cwd, files[1] ?? ""), join(cwd, "other", "chess-lora-1.safetensors"));
  const changed = await run(["index", "./other", "--json"], at);
  t.deepEqual(
    parseLines<IndexLine>(changed.stdout).map(({ model, status }) => [model, status]),
    [["chess-lora-1.safetensors", "indexed"]],
  );
  t.regex(changed.stderr, /under two names: chess-lora-1\.safetensors = chess-lora-2\.safetensors\n$/);
});

test("other weights under an id that is there are told of", async (t) => {
  const at = await start();
  for (const [folder, model] of [
    ["first", "jazz-lora-1.safetensors"],
    ["second", "chess-lora-1.safetensors"],
  ] as const) {
    await mkdir(join(cwd, folder));
    await copyFile(join(cwd, "models", model), join(cwd, folder, "m.safetensors"));
  }
  const first = await run(["index", "./first", "--meta", "owner=ann"], at);
  t.notRegex(first.stderr, /replaced/);
  const again = await run(["index", "./first", "--again"], at);
  t.notRegex(again.stderr, /replaced/, "the same weights replace nothing");
  const second = await run(["index", "./second"], at);
  t.is(second.code, 0, second.stderr);
  t.regex(second.stderr, /\n1 replaced: other weights under the same id: m\.safetensors\n/);
  const back = await run(["index", "./first", "--again", "--json"], at);
  t.deepEqual(
    parseLines<{ model: string; replaced?: boolean }>(back.stdout).map(({ model, replaced }) => [model, replaced]),
    [["m.safetensors", true]],
  );
});

test("copies are told of or left out, what cannot be read is named, and ids have their prefix", async (t) => {
  const { code, stdout, stderr } = await run(["index", "./more", "--id-prefix", "more/", "--json", "--skip-copies"]);
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
  t.regex(stderr, /\n1 model failed:\n {2}[^\n]*LIMIT_EXCEEDED: /);
});

test("a remote model is left out by its name, and nothing shows the query of its URL", async (t) => {
  const file = await readFile(join(cwd, "models", "jazz-lora-1.safetensors"));
  const http = createServer((request, response) => {
    const [, begin, end] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
    const bytes = file.subarray(Number(begin), Math.min(Number(end) + 1, file.length));
    const range = `bytes ${begin}-${Number(begin) + bytes.length - 1}/${file.length}`;
    response.writeHead(206, { etag: '"1"', "content-range": range }).end(bytes);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.teardown(() => http.close());
  const id = `http://127.0.0.1:${(http.address() as AddressInfo).port}/m.safetensors`;
  const at = await start();
  const first = await run(["index", `${id}?token=secret`, "--json"], at);
  t.is(first.code, 0, first.stderr);
  const again = await run(["index", `${id}?token=secret`, "--json"], at);
  const like = await run(["similar", `${id}?token=secret`, "--json"], at);
  t.deepEqual(
    [first, again].flatMap(({ stdout }) => parseLines<IndexLine>(stdout)).map(({ model, status }) => [model, status]),
    [
      [id, "indexed"],
      [id, "skipped"],
    ],
  );
  t.is(parseLines<HitLine>(like.stdout)[0]?.query, id);
  for (const { stdout, stderr } of [first, again, like]) t.notRegex(stdout + stderr, /secret/);
});

test("a list names models by its lines, and two models may not be called the same", async (t) => {
  const lines = ["jazz-lora-2", "jazz-lora-3"].map((name) => join(cwd, "models", `${name}.safetensors`));
  await writeFile(join(cwd, "list.txt"), `${lines.join("\n\n")}\n`);
  const { code, stdout } = await run(["index", "@./list.txt", "--json"], await start());
  t.is(code, 0);
  t.deepEqual(
    parseLines<IndexLine>(stdout)
      .map(({ model }) => model)
      .sort(),
    lines,
  );
  await mkdir(join(cwd, "twin"));
  await copyFile(join(cwd, "models", "jazz-lora-1.safetensors"), join(cwd, "twin", "jazz-lora-1.safetensors"));
  const both = await run(["index", "./models", "./twin"]);
  t.is(both.code, 2);
  t.regex(both.stderr, /would both be called "jazz-lora-1\.safetensors"; .*--id-prefix\n$/);
});

test("models like one of the catalogue are found, without itself", async (t) => {
  const { code, stdout, stderr } = await run(["similar", "jazz-lora-1.safetensors", "-k", "2"]);
  t.is(code, 0);
  t.regex(
    stdout,
    /^# +cosine +model\n.*\n1 {2}█{10} +1\.000 {2}jazz-lora-[23]\.safetensors\n2 {2}█{10} +1\.000 {2}jazz/,
  );
  t.regex(stderr, /^cosines only: concepts-lora has no calibrated scores/);
});

test("a file that is not in the catalogue is embedded for its query, by each expert that is asked", async (t) => {
  const words = ["similar", "./more/renamed.safetensors", "-k", "3", "--json"];
  const { code, stdout } = await run(words);
  t.is(code, 0);
  const hits = parseLines<HitLine>(stdout);
  t.deepEqual(
    hits.map(({ rank, query }) => [rank, query]),
    [1, 2, 3].map((rank) => [rank, join(cwd, "more", "renamed.safetensors")]),
  );
  t.deepEqual(
    hits.map(({ model }) => model).sort(),
    [1, 2, 3].map((copy) => `jazz-lora-${copy}.safetensors`),
  );
  const wrong = await run([...words, "--expert", "concepts-dense"]);
  t.is(wrong.code, 3);
  t.regex(wrong.stderr, /renamed\.safetensors: /);
  const unknown = await run([...words, "--expert", "nosuch"]);
  t.regex(unknown.stderr, /no expert "nosuch" on the server 127\.0\.0\.1:\d+; it has concepts-dense, concepts-lora\n$/);
});

test("examples are refined by what is not wanted, under a filter, with columns of one's own", async (t) => {
  const like = ["--like", "jazz-lora-1.safetensors", "--like", "chess-lora-2.safetensors"];
  const unlike = ["--unlike", `file:${join(cwd, "models", "jazz-lora-2.safetensors")}`];
  const { stdout } = await run(["search", ...like, ...unlike, "-k", "2", "--show", "claim.concept"]);
  t.regex(stdout, / {2}claim\.concept\n/);
  t.regex(stdout, /\n1 .* chess-lora-[13]\.safetensors +chess\n2 .* chess-lora-[13]\.safetensors +chess\n$/);
  const where = ["--where", "claim.concept != chess", "--where", "exists meta.license"];
  const filtered = await run(["search", ...like, ...where, "--json"]);
  // The one of the two that is an example is not among the hits.
  t.deepEqual(parseLines<HitLine>(filtered.stdout), []);
  const other = await run(["search", "--like", "chess-lora-2.safetensors", ...where, "--json"]);
  t.deepEqual(
    parseLines<HitLine>(other.stdout).map(({ model }) => model),
    ["jazz-lora-1.safetensors"],
  );
});

test("options of a query that come to nothing are told of", async (t) => {
  const words = ["similar", "jazz-lora-1.safetensors", "-k", "2"];
  const shown = await run([...words, "--show", "claim.concep", "--show", "claim.concept", "--show", "base"]);
  t.is(shown.code, 0);
  t.regex(shown.stdout, /^# +cosine +model +base +claim\.concep +claim\.concept\n/);
  t.regex(shown.stderr, /--show: no model has claim\.concep; the nearest are "claim\.concept"/);
  t.is(shown.stderr.match(/--show/g)?.length, 1);
  const tree = await run([...words, "--tree", "nosuch"]);
  t.is(tree.stdout, "no model fits\n");
  t.regex(tree.stderr, /--tree: no model is of a tree "nosuch"\n/);
  const perBase = await run([...words, "--per-base", "1"]);
  t.regex(perBase.stderr, /--per-base: not limited: 2 hits have no base\n/);
  t.notRegex((await run(words)).stderr, /--/);
});

test("several queries are answered one after another, and one that is refused costs the others nothing", async (t) => {
  const table = await run(["similar", "jazz-lora-1.safetensors", "birds-full.safetensors", "-k", "1"]);
  t.regex(
    table.stdout,
    /^jazz-lora-1\.safetensors\n#.*\n-.*\n1 .*\n\nbirds-full\.safetensors\n#.*\n-.*\n1 .*astronomy-full/,
  );
  await writeFile(join(cwd, "queries.txt"), "a text\nanother\n");
  const { code, stdout, stderr } = await run(["search", "--queries", "./queries.txt", "--json"]);
  t.is(code, 3, "the example's experts name no text encoder");
  t.deepEqual(
    parseLines<{ query: string; error: { reason: string } }>(stdout).map(({ query, error }) => [query, error.reason]),
    [
      ["a text", "TEXT_ENCODER_MISSING"],
      ["another", "TEXT_ENCODER_MISSING"],
    ],
  );
  t.is(stderr, "");
});

test("a model that cannot be read or is not there costs the others nothing", async (t) => {
  const words = ["./more/nonsense.safetensors", "jazz-lora-1.safetensors", "jazz-lora-9.safetensors"];
  const similar = await run(["similar", ...words, "-k", "1"]);
  t.is(similar.code, 1, similar.stderr);
  t.regex(similar.stdout, /\njazz-lora-1\.safetensors\n#.*\n-.*\n1 .*jazz-lora-/);
  t.regex(similar.stderr, /nonsense\.safetensors: [A-Z_]+: .*damaged or no safetensors file/);
  t.regex(similar.stderr, /jazz-lora-9\.safetensors: MODEL_NOT_FOUND: no model .*; the nearest are /);
  const lines = parseLines<{ query: string; error?: { reason: string } }>(
    (await run(["similar", ...words, "-k", "1", "--json"])).stdout,
  );
  t.deepEqual(
    lines.map(({ query, error }) => [query.replace(/^.*\//, ""), error !== undefined]),
    [
      ["nonsense.safetensors", true],
      ["jazz-lora-1.safetensors", false],
      ["jazz-lora-9.safetensors", true],
    ],
  );
  const none = await run(["similar", "jazz-lora-8.safetensors", "jazz-lora-9.safetensors"]);
  t.is(none.code, 3);
});

test("a word that is neither a model nor a file is told of with names like it", async (t) => {
  const { code, stdout, stderr } = await run(["similar", "jazz-lora-9.safetensors"]);
  t.is(code, 3);
  t.is(stdout, "");
  t.is(
    stderr,
    'probestream: no model "jazz-lora-9.safetensors" in the catalogue, and no such file; the nearest are "jazz-lora-1.safetensors", "jazz-lora-2.safetensors", "jazz-lora-3.safetensors"\n',
  );
  const get = await run(["catalogue", "get", "jazz-lora-1.safetensors", "nosuch", "--json"]);
  t.is(get.code, 1);
  t.is(parseLines<{ id: string }>(get.stdout).length, 1);
  t.regex(get.stderr, /^no model "nosuch" in the catalogue/);
});

test("a field that no model has, and a filter that cannot be read, are errors of the command line", async (t) => {
  for (const [filter, message] of [
    ["meta.licence = mit", /meta\.licence/],
    ["license = mit", /character 1: "license": no field has this name/],
  ] as const) {
    const { code, stderr } = await run(["catalogue", "list", "--where", filter]);
    t.is(code, 2);
    t.regex(stderr, message);
  }
});

test("spaces and models are listed; a field that only one space has is no error in another", async (t) => {
  const spaces = await run(["catalogue", "spaces"]);
  t.is(spaces.code, 0);
  t.regex(spaces.stdout, /concepts-dense +[0-9a-f]{12} +serving +2 +16 +cosines only +claim\.concept, /);
  t.regex(spaces.stdout, /concepts-lora +[0-9a-f]{12} +serving +24 +16 /);
  t.is(spaces.stderr, "memory: 26 records in all\n");
  const listed = await run(["catalogue", "list", "--where", "meta.rank >= 4"]);
  t.regex(listed.stdout, /^model +expert +tree +base +metadata\n-.*\nchess-lora-1\.safetensors +concepts-lora +- +- +/);
  t.regex(listed.stdout, /\njazz-lora-1\.safetensors .*license=mit.*\n$/);
  t.is(listed.stderr, "2 records\n");
  const shown = await run([
    "catalogue",
    "list",
    "--where",
    "meta.rank >= 4",
    "--show",
    "claim.concept",
    "--show",
    "base",
  ]);
  t.regex(shown.stdout, /^model +expert +tree +base +claim\.concept +metadata\n-.*\n.* chess +[^ ]/);
  const few = await run(["catalogue", "list", "--limit", "3", "--json"]);
  t.is(parseLines(few.stdout).length, 3);
  t.is(few.stderr, "the first 3; --limit sets how many\n");
});

/** A server with what the full one has. */
async function startCopy(spaces: readonly string[], ...words: readonly string[]): Promise<readonly string[]> {
  const at = await start();
  for (const space of spaces) {
    const file = join(cwd, `${space}-${at[1]?.replace(":", "-")}.jsonl`);
    await run(["export", "--space", space, "--out", file]);
    const { code, stderr } = await run(["catalogue", "import", file, ...words], at);
    if (code !== 0) throw new Error(stderr);
  }
  return at;
}

test("what is said of a model is changed and taken back, and models are removed", async (t) => {
  const at = await startCopy(["concepts-lora", "concepts-dense"]);
  const id = "birds-lora-1.safetensors";
  const set = await run(["catalogue", "set", id, "rank=16", 'v="2"', "ok=true", "--remove", "source", "--json"], at);
  t.is(set.code, 0, set.stderr);
  t.deepEqual(
    parseLines<{ metadata: unknown }>(set.stdout).map(({ metadata }) => metadata),
    [{ rank: 16, v: "2", ok: true }],
  );
  const none = await run(["catalogue", "set", id, "--remove", "nosuch"], at);
  t.is(none.code, 0);
  t.is(none.stderr, '--remove: nothing was said of the model as "nosuch"; it has rank, v, ok\nnothing was changed\n');
  const part = await run(["catalogue", "set", "birds-lora", "a=b"], at);
  t.regex(part.stderr, /no model "birds-lora" in the catalogue; the nearest are "birds-lora-/);
  const inside = await run(["catalogue", "get", "lora"], at);
  t.regex(inside.stderr, /no model "lora" in the catalogue; it stands in "astronomy-lora-1/);
  const where = ["catalogue", "delete", "--where", "claim.concept in (birds, chess)"];
  const asked = await run(where, at);
  t.is(asked.code, 2);
  t.is(asked.stderr, "probestream: 7 models would be removed; --yes does it\n");
  const gone = await run([...where, "--yes"], at);
  t.is(gone.code, 0);
  t.is(gone.stderr, "7 models removed\n");
  const named = await run(["catalogue", "delete", "jazz-lora-1.safetensors", id], at);
  t.is(named.code, 1);
  t.regex(named.stderr, /^1 model removed\nno model "birds-lora-1\.safetensors" in the catalogue/);
  const drop = await run(["catalogue", "drop", "concepts-dense", "--yes"], at);
  t.is(drop.code, 0);
  t.regex(drop.stderr, /^concepts-dense \([0-9a-f]{12}\) with 1 model is removed\n$/);
  const missing = await run(["catalogue", "drop", "concepts-dens"], at);
  t.is(missing.code, 3);
  t.regex(missing.stderr, /no space "concepts-dens" in the catalogue; it has concepts-lora \(/);
});

test("a space that is filled is searched once it is switched to", async (t) => {
  const at = await startCopy(["concepts-lora"], "--fill");
  const words = ["similar", "jazz-lora-1.safetensors", "--json", "-k", "1"];
  const before = await run(words, at);
  t.is(before.code, 3);
  t.regex(before.stdout, /none of its 1 serves: concepts-lora \([0-9a-f]{12}\) is filling/);
  const switched = await run(["catalogue", "switch", "concepts-lora"], at);
  t.is(switched.code, 0);
  const after = await run(words, at);
  t.regex(after.stdout, /"model":"jazz-lora-/);
});

test("an export is imported again bit for bit, and other forms hold the same", async (t) => {
  const space = ["--space", "concepts-lora"];
  const exported = await run(["export", ...space]);
  t.is(exported.code, 0, exported.stderr);
  t.regex(exported.stderr, /^24 records of concepts-lora \([0-9a-f]{12}\) exported\n$/);
  const again = await run(["export", "--quiet"], await startCopy(["concepts-lora"]));
  t.is(again.stderr, "");
  t.is(again.stdout, exported.stdout);

  await run(["export", ...space, "--format", "safetensors", "--out", "./all.safetensors"]);
  const { tensors, metadata } = await readTensors(join(cwd, "all.safetensors"));
  t.deepEqual(tensors.get("representations")?.shape, [24, 16]);
  t.is(metadata.get("expert"), "concepts-lora");
  t.is(metadata.get("records"), "all.records.jsonl");
  const lines = exported.stdout.split("\n").slice(1, 25);
  const vectors = lines.map((line) => Buffer.from(JSON.parse(line).representation, "base64"));
  t.deepEqual(Buffer.from(tensors.get("representations")?.bytes ?? []), Buffer.concat(vectors));
  t.deepEqual(
    parseLines<{ id: string }>(await readFile(join(cwd, "all.records.jsonl"), "utf8")).map(({ id }) => id),
    lines.map((line) => JSON.parse(line).id),
  );

  const csv = await run(["export", ...space, "--format", "csv", "--where", "exists meta.rank"]);
  t.regex(csv.stdout, /^id,weights_hash,file_hash,tree,base,created,updated,.*meta\.license,meta\.rank,meta\.source\n/);
  t.regex(csv.stdout, /\njazz-lora-1\.safetensors,[0-9a-f]{64},,,,20.*,mit,4,example\n$/);
  t.deepEqual(
    (await readdir(cwd)).filter((name) => name.endsWith(".part")),
    [],
  );
});

test("records before a line that cannot be read are imported, and the line is named", async (t) => {
  const { stdout } = await run(["export", "--space", "concepts-lora"]);
  await writeFile(join(cwd, "broken.jsonl"), [...stdout.split("\n").slice(0, 4), "nonsense"].join("\n"));
  const at = await start();
  const empty = await run(["export"], at);
  t.is(empty.code, 3, empty.stderr);
  const { code, stderr } = await run(["catalogue", "import", "./broken.jsonl"], at);
  t.is(code, 3);
  t.regex(
    stderr,
    /broken\.jsonl: 3 records imported into concepts-lora .*\n.*broken\.jsonl", line 5: no JSON object\n$/,
  );
  const spaces = await run(["catalogue", "spaces", "--json"], at);
  t.regex(spaces.stdout, /"count":3/);
});

test("an export of several spaces is refused with their names, and safetensors need a file", async (t) => {
  const { code, stderr } = await run(["export"]);
  t.is(code, 2);
  t.regex(stderr, /name it with --space: concepts-dense \([0-9a-f]{12}\), concepts-lora \([0-9a-f]{12}\)\n$/);
  const tensors = await run(["export", "--space", "concepts-lora", "--format", "safetensors"]);
  t.is(tensors.code, 2);
});

test("models that are nearly the same are found, each pair once", async (t) => {
  const at = await start();
  const files = ["./models/jazz-lora-1.safetensors", "./more/renamed.safetensors", "./models/chess-lora-1.safetensors"];
  await run(["index", ...files], at);
  const { code, stdout } = await run(["catalogue", "duplicates"], at);
  t.is(code, 0);
  t.regex(stdout, /^model .*\n-.*\njazz-lora-1\.safetensors +renamed\.safetensors +1\.0000 +the same\n$/);
});

test("an index that is interrupted says how far it came, and goes on when it is given again", async (t) => {
  const at = await start();
  const controller = new AbortController();
  const words = ["index", join(cwd, "models"), "--json", ...at];
  const first = await runInProcess(words, controller, () => controller.abort(new Error("stopped")));
  t.is(first.code, 3);
  // All of them may have come at once.
  t.regex(
    first.stderr,
    /(^|[^6] of 26 models in the catalogue; give the command again to go on\n)probestream: stopped\n$/,
  );
  const second = await runInProcess(words);
  t.is(second.code, 0, second.stderr);
  const [, there = "0"] = /, (\d+) there already/.exec(second.stderr) ?? [];
  t.true(Number(there) >= 1);
  t.regex(second.stderr, new RegExp(`^${26 - Number(there)} of 26 models indexed`));
});

test("a server without a catalogue says what it is to be started with", async (t) => {
  const at = await start(false);
  for (const words of [
    ["catalogue", "list"],
    ["index", "./models"],
  ]) {
    const { code, stderr } = await run(words, at);
    t.is(code, 3);
    t.is(stderr.match(/keeps no catalogue of models; start it with --store/g)?.length, 1, stderr);
    t.notRegex(stderr, /give the command again/);
  }
});

test("what is the server's to choose is not chosen here, and nothing is asked for nothing", async (t) => {
  for (const [words, message] of [
    [["search", "jazz", "--store", "store"], /--store is the server's to choose; with --local it is yours/],
    [["search"], /nothing is asked for; give a text/],
    [["search", " "], /a text is empty/],
    [["search", "jazz", "--show", "license"], /What was said of a model is meta\.license/],
    [["index"], /nothing is to be indexed/],
    [["catalogue", "set", "x"], /nothing is to be changed/],
    [["catalogue", "delete"], /by their ids or by --where/],
    [["similar", "text:jazz"], /is no model/],
    [["search", "--queries", "./none.txt"], /--queries: There is no file ".*none\.txt"; check the path/],
    [["index", "--list", "./none.txt"], /the list: There is no file ".*none\.txt"; check the path/],
    [["classify", "x", "--labels", "none.txt"], /--labels: There is no file "none\.txt"; check the path/],
    [["search", "jazz", "--tls-ca", "none.pem"], /--tls-ca: There is no file "none\.pem"; check the path/],
  ] as const) {
    const { code, stderr } = await run(words);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
  }
});
