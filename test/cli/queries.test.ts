import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { type CatalogueRig, openCatalogueRig } from "./catalogue-rig.js";
import { parseLines } from "./run-cli.js";

interface HitLine {
  readonly query: string;
  readonly rank: number;
  readonly model: string;
  readonly cosine: number;
}

let rig: CatalogueRig;
test.before(async (t) => {
  rig = await openCatalogueRig();
  t.is(rig.indexed.code, 0, rig.indexed.stderr);
});
test.after.always(() => rig?.close());

test("models like one of the catalogue are found, without itself", async (t) => {
  const { code, stdout, stderr } = await rig.run(["similar", "jazz-lora-1.safetensors", "-k", "2"]);
  t.is(code, 0);
  t.regex(
    stdout,
    /^# +cosine +model\n.*\n1 {2}█{10} +1\.000 {2}jazz-lora-[23]\.safetensors\n2 {2}█{10} +1\.000 {2}jazz/,
  );
  t.regex(stderr, /^cosines only: concepts-lora has no calibrated scores/);
});

test("a file that is not in the catalogue is embedded for its query, by each expert that is asked", async (t) => {
  const words = ["similar", "./more/renamed.safetensors", "-k", "3", "--json"];
  const { code, stdout } = await rig.run(words);
  t.is(code, 0);
  const hits = parseLines<HitLine>(stdout);
  t.deepEqual(
    hits.map(({ rank, query }) => [rank, query]),
    [1, 2, 3].map((rank) => [rank, join(rig.cwd, "more", "renamed.safetensors")]),
  );
  t.deepEqual(
    hits.map(({ model }) => model).sort(),
    [1, 2, 3].map((copy) => `jazz-lora-${copy}.safetensors`),
  );
  const wrong = await rig.run([...words, "--expert", "concepts-dense"]);
  t.is(wrong.code, 3);
  t.regex(wrong.stderr, /renamed\.safetensors: /);
  const unknown = await rig.run([...words, "--expert", "nosuch"]);
  t.regex(unknown.stderr, /no expert "nosuch" on the server 127\.0\.0\.1:\d+; it has concepts-dense, concepts-lora\n$/);
});

test("examples are refined by what is not wanted, under a filter, with columns of one's own", async (t) => {
  const like = ["--like", "jazz-lora-1.safetensors", "--like", "chess-lora-2.safetensors"];
  const unlike = ["--unlike", `file:${join(rig.cwd, "models", "jazz-lora-2.safetensors")}`];
  const { stdout } = await rig.run(["search", ...like, ...unlike, "-k", "2", "--show", "claim.concept"]);
  t.regex(stdout, / {2}claim\.concept\n/);
  t.regex(stdout, /\n1 .* chess-lora-[13]\.safetensors +chess\n2 .* chess-lora-[13]\.safetensors +chess\n$/);
  const where = ["--where", "claim.concept != chess", "--where", "exists meta.license"];
  const filtered = await rig.run(["search", ...like, ...where, "--json"]);
  // The one of the two that is an example is not among the hits.
  t.deepEqual(parseLines<HitLine>(filtered.stdout), []);
  const other = await rig.run(["search", "--like", "chess-lora-2.safetensors", ...where, "--json"]);
  t.deepEqual(
    parseLines<HitLine>(other.stdout).map(({ model }) => model),
    ["jazz-lora-1.safetensors"],
  );
});

test("options of a query that come to nothing are told of", async (t) => {
  const words = ["similar", "jazz-lora-1.safetensors", "-k", "2"];
  const shown = await rig.run([...words, "--show", "claim.concep", "--show", "claim.concept", "--show", "base"]);
  t.is(shown.code, 0);
  t.regex(shown.stdout, /^# +cosine +model +base +claim\.concep +claim\.concept\n/);
  t.regex(shown.stderr, /--show: no model has claim\.concep; the nearest are "claim\.concept"/);
  t.is(shown.stderr.match(/--show/g)?.length, 1);
  const tree = await rig.run([...words, "--tree", "nosuch"]);
  t.is(tree.stdout, "no model fits\n");
  t.regex(tree.stderr, /--tree: no model is of a tree "nosuch"\n/);
  const perBase = await rig.run([...words, "--per-base", "1"]);
  t.regex(perBase.stderr, /--per-base: not limited: 2 hits have no base\n/);
  t.notRegex((await rig.run(words)).stderr, /--/);
});

test("several queries are answered one after another, and one that is refused costs the others nothing", async (t) => {
  const table = await rig.run(["similar", "jazz-lora-1.safetensors", "birds-full.safetensors", "-k", "1"]);
  t.regex(
    table.stdout,
    /^jazz-lora-1\.safetensors\n#.*\n-.*\n1 .*\n\nbirds-full\.safetensors\n#.*\n-.*\n1 .*astronomy-full/,
  );
  await writeFile(join(rig.cwd, "queries.txt"), "a text\nanother\n");
  const { code, stdout, stderr } = await rig.run(["search", "--queries", "./queries.txt", "--json"]);
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
  const similar = await rig.run(["similar", ...words, "-k", "1"]);
  t.is(similar.code, 1, similar.stderr);
  t.regex(similar.stdout, /\njazz-lora-1\.safetensors\n#.*\n-.*\n1 .*jazz-lora-/);
  t.regex(similar.stderr, /nonsense\.safetensors: [A-Z_]+: .*damaged or no safetensors file/);
  t.regex(similar.stderr, /jazz-lora-9\.safetensors: MODEL_NOT_FOUND: no model .*; the nearest are /);
  const lines = parseLines<{ query: string; error?: { reason: string } }>(
    (await rig.run(["similar", ...words, "-k", "1", "--json"])).stdout,
  );
  t.deepEqual(
    lines.map(({ query, error }) => [query.replace(/^.*\//, ""), error !== undefined]),
    [
      ["nonsense.safetensors", true],
      ["jazz-lora-1.safetensors", false],
      ["jazz-lora-9.safetensors", true],
    ],
  );
  const none = await rig.run(["similar", "jazz-lora-8.safetensors", "jazz-lora-9.safetensors"]);
  t.is(none.code, 3);
});

test("a word that is neither a model nor a file is told of with names like it", async (t) => {
  const { code, stdout, stderr } = await rig.run(["similar", "jazz-lora-9.safetensors"]);
  t.is(code, 3);
  t.is(stdout, "");
  t.is(
    stderr,
    'probestream: no model "jazz-lora-9.safetensors" in the catalogue, and no such file; the nearest are "jazz-lora-1.safetensors", "jazz-lora-2.safetensors", "jazz-lora-3.safetensors"\n',
  );
  const get = await rig.run(["catalogue", "get", "jazz-lora-1.safetensors", "nosuch", "--json"]);
  t.is(get.code, 1);
  t.is(parseLines<{ id: string }>(get.stdout).length, 1);
  t.regex(get.stderr, /^no model "nosuch" in the catalogue/);
});
