import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { type CatalogueRig, openCatalogueRig } from "./catalogue-rig.js";
import { parseLines } from "./run-cli.js";

let rig: CatalogueRig;
test.before(async (t) => {
  rig = await openCatalogueRig();
  t.is(rig.indexed.code, 0, rig.indexed.stderr);
});
test.after.always(() => rig?.close());

test("an export is imported again bit for bit, and other forms hold the same", async (t) => {
  const space = ["--space", "concepts-lora"];
  const exported = await rig.run(["export", ...space]);
  t.is(exported.code, 0, exported.stderr);
  t.regex(exported.stderr, /^24 records of concepts-lora \([0-9a-f]{12}\) exported\n$/);
  const again = await rig.run(["export", "--quiet"], await rig.startCopy(["concepts-lora"]));
  t.is(again.stderr, "");
  t.is(again.stdout, exported.stdout);

  await rig.run(["export", ...space, "--format", "safetensors", "--out", "./all.safetensors"]);
  const { tensors, metadata } = await readTensors(join(rig.cwd, "all.safetensors"));
  t.deepEqual(tensors.get("representations")?.shape, [24, 16]);
  t.is(metadata.get("expert"), "concepts-lora");
  t.is(metadata.get("records"), "all.records.jsonl");
  const lines = exported.stdout.split("\n").slice(1, 25);
  const vectors = lines.map((line) => Buffer.from(JSON.parse(line).representation, "base64"));
  t.deepEqual(Buffer.from(tensors.get("representations")?.bytes ?? []), Buffer.concat(vectors));
  t.deepEqual(
    parseLines<{ id: string }>(await readFile(join(rig.cwd, "all.records.jsonl"), "utf8")).map(({ id }) => id),
    lines.map((line) => JSON.parse(line).id),
  );

  const csv = await rig.run(["export", ...space, "--format", "csv", "--where", "exists meta.rank"]);
  t.regex(csv.stdout, /^id,weights_hash,file_hash,tree,base,created,updated,.*meta\.license,meta\.rank,meta\.source\n/);
  t.regex(csv.stdout, /\njazz-lora-1\.safetensors,[0-9a-f]{64},,,,20.*,mit,4,example\n$/);
  t.deepEqual(
    (await readdir(rig.cwd)).filter((name) => name.endsWith(".part")),
    [],
  );
});

test("records before a line that cannot be read are imported, and the line is named", async (t) => {
  const { stdout } = await rig.run(["export", "--space", "concepts-lora"]);
  await writeFile(join(rig.cwd, "broken.jsonl"), [...stdout.split("\n").slice(0, 4), "nonsense"].join("\n"));
  const at = await rig.start();
  const empty = await rig.run(["export"], at);
  t.is(empty.code, 3, empty.stderr);
  const { code, stderr } = await rig.run(["catalogue", "import", "./broken.jsonl"], at);
  t.is(code, 3);
  t.regex(
    stderr,
    /broken\.jsonl: 3 records imported into concepts-lora .*\n.*broken\.jsonl", line 5: no JSON object\n$/,
  );
  const spaces = await rig.run(["catalogue", "spaces", "--json"], at);
  t.regex(spaces.stdout, /"count":3/);
});

test("an export of several spaces is refused with their names, and safetensors need a file", async (t) => {
  const { code, stderr } = await rig.run(["export"]);
  t.is(code, 2);
  t.regex(stderr, /name it with --space: concepts-dense \([0-9a-f]{12}\), concepts-lora \([0-9a-f]{12}\)\n$/);
  const tensors = await rig.run(["export", "--space", "concepts-lora", "--format", "safetensors"]);
  t.is(tensors.code, 2);
});
