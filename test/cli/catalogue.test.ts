import test from "ava";
import { type CatalogueRig, openCatalogueRig } from "./catalogue-rig.js";
import { parseLines } from "./run-cli.js";

let rig: CatalogueRig;
test.before(async (t) => {
  rig = await openCatalogueRig();
  t.is(rig.indexed.code, 0, rig.indexed.stderr);
});
test.after.always(() => rig?.close());

test("a field that no model has, and a filter that cannot be read, are errors of the command line", async (t) => {
  for (const [filter, message] of [
    ["meta.licence = mit", /meta\.licence/],
    ["license = mit", /character 1: "license": no field has this name/],
  ] as const) {
    const { code, stderr } = await rig.run(["catalogue", "list", "--where", filter]);
    t.is(code, 2);
    t.regex(stderr, message);
  }
});

test("spaces and models are listed; a field that only one space has is no error in another", async (t) => {
  const spaces = await rig.run(["catalogue", "spaces"]);
  t.is(spaces.code, 0);
  t.regex(spaces.stdout, /concepts-dense +[0-9a-f]{12} +serving +2 +16 +cosines only +claim\.concept, /);
  t.regex(spaces.stdout, /concepts-lora +[0-9a-f]{12} +serving +24 +16 /);
  t.is(spaces.stderr, "memory: 26 records in all\n");
  const listed = await rig.run(["catalogue", "list", "--where", "meta.rank >= 4"]);
  t.regex(listed.stdout, /^model +expert +tree +base +metadata\n-.*\nchess-lora-1\.safetensors +concepts-lora +- +- +/);
  t.regex(listed.stdout, /\njazz-lora-1\.safetensors .*license=mit.*\n$/);
  t.is(listed.stderr, "2 records\n");
  const shown = await rig.run([
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
  const few = await rig.run(["catalogue", "list", "--limit", "3", "--json"]);
  t.is(parseLines(few.stdout).length, 3);
  t.is(few.stderr, "the first 3; --limit sets how many\n");
});

test("what is said of a model is changed and taken back, and models are removed", async (t) => {
  const at = await rig.startCopy(["concepts-lora", "concepts-dense"]);
  const id = "birds-lora-1.safetensors";
  const set = await rig.run(
    ["catalogue", "set", id, "rank=16", 'v="2"', "ok=true", "--remove", "source", "--json"],
    at,
  );
  t.is(set.code, 0, set.stderr);
  t.deepEqual(
    parseLines<{ metadata: unknown }>(set.stdout).map(({ metadata }) => metadata),
    [{ rank: 16, v: "2", ok: true }],
  );
  const none = await rig.run(["catalogue", "set", id, "--remove", "nosuch"], at);
  t.is(none.code, 0);
  t.is(none.stderr, '--remove: nothing was said of the model as "nosuch"; it has rank, v, ok\nnothing was changed\n');
  const part = await rig.run(["catalogue", "set", "birds-lora", "a=b"], at);
  t.regex(part.stderr, /no model "birds-lora" in the catalogue; the nearest are "birds-lora-/);
  const inside = await rig.run(["catalogue", "get", "lora"], at);
  t.regex(inside.stderr, /no model "lora" in the catalogue; it stands in "astronomy-lora-1/);
  const where = ["catalogue", "delete", "--where", "claim.concept in (birds, chess)"];
  const asked = await rig.run(where, at);
  t.is(asked.code, 2);
  t.is(asked.stderr, "probestream: 7 models would be removed; --yes does it\n");
  const gone = await rig.run([...where, "--yes"], at);
  t.is(gone.code, 0);
  t.is(gone.stderr, "7 models removed\n");
  const named = await rig.run(["catalogue", "delete", "jazz-lora-1.safetensors", id], at);
  t.is(named.code, 1);
  t.regex(named.stderr, /^1 model removed\nno model "birds-lora-1\.safetensors" in the catalogue/);
  const drop = await rig.run(["catalogue", "drop", "concepts-dense", "--yes"], at);
  t.is(drop.code, 0);
  t.regex(drop.stderr, /^concepts-dense \([0-9a-f]{12}\) with 1 model is removed\n$/);
  const missing = await rig.run(["catalogue", "drop", "concepts-dens"], at);
  t.is(missing.code, 3);
  t.regex(missing.stderr, /no space "concepts-dens" in the catalogue; it has concepts-lora \(/);
});

test("a space that is filled is searched once it is switched to", async (t) => {
  const at = await rig.startCopy(["concepts-lora"], "--fill");
  const words = ["similar", "jazz-lora-1.safetensors", "--json", "-k", "1"];
  const before = await rig.run(words, at);
  t.is(before.code, 3);
  t.regex(before.stdout, /none of its 1 serves: concepts-lora \([0-9a-f]{12}\) is filling/);
  const switched = await rig.run(["catalogue", "switch", "concepts-lora"], at);
  t.is(switched.code, 0);
  const after = await rig.run(words, at);
  t.regex(after.stdout, /"model":"jazz-lora-/);
});

test("models that are nearly the same are found, each pair once", async (t) => {
  const at = await rig.start();
  const files = ["./models/jazz-lora-1.safetensors", "./more/renamed.safetensors", "./models/chess-lora-1.safetensors"];
  await rig.run(["index", ...files], at);
  const { code, stdout } = await rig.run(["catalogue", "duplicates"], at);
  t.is(code, 0);
  t.regex(stdout, /^model .*\n-.*\njazz-lora-1\.safetensors +renamed\.safetensors +1\.0000 +the same\n$/);
});

test("a server without a catalogue says what it is to be started with", async (t) => {
  const at = await rig.start(false);
  for (const words of [
    ["catalogue", "list"],
    ["index", "./models"],
  ]) {
    const { code, stderr } = await rig.run(words, at);
    t.is(code, 3);
    t.is(stderr.match(/keeps no catalogue of models; start it with --store/g)?.length, 1, stderr);
    t.notRegex(stderr, /give the command again/);
  }
});

test("what is the server's to choose is not chosen here, and nothing is asked for nothing", async (t) => {
  for (const [words, message] of [
    [["search", "jazz", "--store", "store"], /--store is the server's to choose; with --local it is yours/],
    [["index", "./models", "--backend", "wasm"], /--backend is the server's to choose; with --local it is yours/],
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
    const { code, stderr } = await rig.run(words);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
  }
});
