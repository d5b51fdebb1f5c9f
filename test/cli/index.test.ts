import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "ava";
import { type CatalogueRig, openCatalogueRig } from "./catalogue-rig.js";
import { parseLines } from "./run-cli.js";
import { runInProcess } from "./run-in-process.js";

interface IndexLine {
  readonly model: string;
  readonly status: "indexed" | "skipped" | "failed";
  readonly copyOf?: string;
}

interface HitLine {
  readonly query: string;
}

let rig: CatalogueRig;
/** A server whose catalogue is filled by tests; each gives its models ids of its own. */
let shared: readonly string[] = [];
test.before(async (t) => {
  rig = await openCatalogueRig();
  t.is(rig.indexed.code, 0, rig.indexed.stderr);
  shared = await rig.start();
});
test.after.always(() => rig?.close());

test("a folder is indexed with what is known of its models", (t) => {
  t.regex(rig.indexed.stderr, /^26 of 26 models indexed in [^\n]+\n--metadata: no model for "gone" \(line 4\)\n$/);
});

test("what is there is left out; other metadata is written all the same", async (t) => {
  const files = ["./models/chess-lora-1.safetensors", "./models/chess-lora-2.safetensors"];
  const first = await rig.run(["index", ...files, "--meta", "a=1"], shared);
  t.is(first.code, 0, first.stderr);
  const again = await rig.run(["index", ...files, "--meta", "a=2", "--json"], shared);
  t.is(again.code, 0);
  t.deepEqual(
    parseLines<IndexLine>(again.stdout).map(({ status }) => status),
    ["skipped", "skipped"],
  );
  t.is(again.stderr, "0 of 2 models indexed, 2 there already, 2 of them with other metadata now\n");
  const { stdout } = await rig.run(["catalogue", "get", "chess-lora-1.safetensors"], shared);
  t.regex(stdout, /meta\.a +2\n/);
  // The same name, other weights.
  await mkdir(join(rig.cwd, "other"));
  await copyFile(join(rig.cwd, files[1] ?? ""), join(rig.cwd, "other", "chess-lora-1.safetensors"));
  const changed = await rig.run(["index", "./other", "--json"], shared);
  t.deepEqual(
    parseLines<IndexLine>(changed.stdout).map(({ model, status }) => [model, status]),
    [["chess-lora-1.safetensors", "indexed"]],
  );
  t.regex(changed.stderr, /under two names: chess-lora-1\.safetensors = chess-lora-2\.safetensors\n$/);
});

test("other weights under an id that is there are told of", async (t) => {
  for (const [folder, model] of [
    ["first", "jazz-lora-1.safetensors"],
    ["second", "chess-lora-1.safetensors"],
  ] as const) {
    await mkdir(join(rig.cwd, folder));
    await copyFile(join(rig.cwd, "models", model), join(rig.cwd, folder, "m.safetensors"));
  }
  const first = await rig.run(["index", "./first", "--meta", "owner=ann"], shared);
  t.notRegex(first.stderr, /replaced/);
  const again = await rig.run(["index", "./first", "--again"], shared);
  t.notRegex(again.stderr, /replaced/, "the same weights replace nothing");
  const second = await rig.run(["index", "./second"], shared);
  t.is(second.code, 0, second.stderr);
  t.regex(second.stderr, /\n1 replaced: other weights under the same id: m\.safetensors\n/);
  const back = await rig.run(["index", "./first", "--again", "--json"], shared);
  t.deepEqual(
    parseLines<{ model: string; replaced?: boolean }>(back.stdout).map(({ model, replaced }) => [model, replaced]),
    [["m.safetensors", true]],
  );
});

test("copies are told of or left out, what cannot be read is named, and ids have their prefix", async (t) => {
  const { code, stdout, stderr } = await rig.run([
    "index",
    "./more",
    "--id-prefix",
    "more/",
    "--json",
    "--skip-copies",
  ]);
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
  const file = await readFile(join(rig.cwd, "models", "jazz-lora-1.safetensors"));
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
  const first = await rig.run(["index", `${id}?token=secret`, "--json"], shared);
  t.is(first.code, 0, first.stderr);
  const again = await rig.run(["index", `${id}?token=secret`, "--json"], shared);
  const like = await rig.run(["similar", `${id}?token=secret`, "--json"], shared);
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
  const lines = ["jazz-lora-2", "jazz-lora-3"].map((name) => join(rig.cwd, "models", `${name}.safetensors`));
  await writeFile(join(rig.cwd, "list.txt"), `${lines.join("\n\n")}\n`);
  const { code, stdout } = await rig.run(["index", "@./list.txt", "--json"], shared);
  t.is(code, 0);
  t.deepEqual(
    parseLines<IndexLine>(stdout)
      .map(({ model }) => model)
      .sort(),
    lines,
  );
  await mkdir(join(rig.cwd, "twin"));
  await copyFile(join(rig.cwd, "models", "jazz-lora-1.safetensors"), join(rig.cwd, "twin", "jazz-lora-1.safetensors"));
  const both = await rig.run(["index", "./models", "./twin"]);
  t.is(both.code, 2);
  t.regex(both.stderr, /would both be called "jazz-lora-1\.safetensors"; .*--id-prefix\n$/);
});

test("an index that is interrupted says how far it came, and goes on when it is given again", async (t) => {
  const at = await rig.start();
  const controller = new AbortController();
  const words = ["index", join(rig.cwd, "models"), "--json", ...at];
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
