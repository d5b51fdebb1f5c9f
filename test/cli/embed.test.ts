import { readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import test from "ava";
import { serveCommand, startServer } from "../../bench/start-server.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { answerRange, type EmbedLine, local, makeMixedFolder, serveModel, texts } from "./embed-rig.js";
import { oneBackend, parseLines, runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeMixedFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

test("a folder of models is embedded without a server, and each label is the one planted", async (t) => {
  const { code, stdout, stderr } = await runCli(["embed", "models", ...local, ...texts, "--json"], { cwd });
  t.is(code, 0, stderr);
  const lines = parseLines<EmbedLine>(stdout);
  t.is(lines.length, (await readdir(join(cwd, "models"))).length);
  for (const { file, labels = [], representation = [], spaceId, bytes, timings } of lines) {
    t.is(labels[0]?.label, basename(file).split("-")[0]);
    t.true((labels[0]?.cosine ?? 0) > 0.9);
    t.is(labels.length, 8);
    t.is(representation.length, 16);
    t.regex(spaceId ?? "", /^[0-9a-f]{64}$/);
    t.true((bytes?.total ?? 0) > 0);
    t.true((timings?.["total"] ?? 0) > 0);
  }
  t.regex(stderr, /26 of 26 models embedded in /);
});

test("a server and this process give the same result", async (t) => {
  // Which backend is the fastest may differ from process to process, and their last digits do.
  const backend = ["--backend", "wasm"];
  const server = await startServer(serveCommand({ experts: join(cwd, "experts"), extra: backend }));
  try {
    const words = ["embed", "./models", ...texts, "--json"];
    const [here, there, byVariable] = await Promise.all([
      runInFolder(cwd, [...words, ...local, ...backend]),
      runInFolder(cwd, [...words, "--server", server.target]),
      runCli([...words, "--quiet"], { cwd, env: { PROBESTREAM_SERVER: server.target } }),
    ]);
    const results = [here, there, byVariable].map(({ stdout }) =>
      parseLines<EmbedLine>(stdout)
        .map(({ file, spaceId, representation, labels }) => ({ file, spaceId, representation, labels }))
        .sort((a, b) => (a.file < b.file ? -1 : 1)),
    );
    t.is(results[0]?.length, 26);
    t.deepEqual(results[1], results[0]);
    t.deepEqual(results[2], results[0]);
    t.is(byVariable.stderr, "");
  } finally {
    await server.stop();
  }
});

test("broken files among good ones are named at the end, and the exit code says so", async (t) => {
  const { code, stdout, stderr } = await runInFolder(cwd, [
    "embed",
    "./mixed",
    "./nowhere.safetensors",
    ...local,
    "--json",
  ]);
  t.is(code, 1);
  const lines = parseLines<EmbedLine>(stdout);
  const failed = lines.flatMap(({ file, error }) => (error === undefined ? [] : [[basename(file), error.reason]]));
  t.deepEqual(failed.sort(), [
    ["a-cut.safetensors", "HEADER_MALFORMED"],
    ["m-nonsense.safetensors", "LIMIT_EXCEEDED"],
    ["nowhere.safetensors", "FILE_NOT_FOUND"],
    ["z-pickle.safetensors", "FORMAT_REFUSED"],
  ]);
  t.is(lines.filter(({ representation }) => representation?.length === 16).length, 2);
  t.regex(stderr, /2 of 5 models embedded in /);
  t.regex(stderr, /\n3 models failed:\n/);
  t.regex(stderr, /\n {2}HEADER_MALFORMED: .*"mixed\/a-cut\.safetensors"/);
  t.regex(stderr, /\n1 path could not be read:\n {2}FILE_NOT_FOUND: .*"nowhere\.safetensors"/);
});

test("the table shows file, expert and the best labels", async (t) => {
  const files = ["./models/jazz-lora-1.safetensors", "./models/birds-full.safetensors"];
  const { code, stdout } = await runInFolder(cwd, ["embed", ...files, ...local, ...texts, "--top", "1"]);
  t.is(code, 0);
  t.regex(stdout, /^file +expert +ms +labels \(cosine\)\n-+ /);
  t.regex(stdout, /models\/jazz-lora-1\.safetensors +concepts-lora +[\d.]+ {2}jazz 0\.99\d\n/);
  t.regex(stdout, /models\/birds-full\.safetensors +concepts-dense +[\d.]+ {2}birds 0\.99\d\n/);
});

test("--out writes representations in the order of the files", async (t) => {
  const files = ["models/jazz-lora-1.safetensors", "models/birds-lora-2.safetensors"];
  const out = join(cwd, "out.safetensors");
  const words = [
    "embed",
    ...files.map((file) => `./${file}`),
    "--local",
    "--expert",
    "./experts/concepts-lora",
    ...oneBackend,
    ...texts,
    "--out",
    out,
    "--json",
  ];
  const { code, stdout, stderr } = await runInFolder(cwd, words);
  t.is(code, 0, stderr);
  const { tensors, metadata } = await readTensors(out);
  t.deepEqual(
    JSON.parse(metadata.get("files") ?? ""),
    files.map((file) => join(cwd, file)),
  );
  t.is(metadata.get("expert"), "concepts-lora");
  t.regex(metadata.get("space_id") ?? "", /^[0-9a-f]{64}$/);
  const representations = tensors.get("representations");
  t.deepEqual(representations?.shape, [2, 16]);
  t.deepEqual(tensors.get("scores")?.shape, [2, 8]);
  const bytes = representations?.bytes ?? new Uint8Array(0);
  const rows = Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, 32));
  for (const { file, representation } of parseLines<EmbedLine>(stdout)) {
    const at = files.indexOf(file) * 16;
    t.deepEqual(rows.slice(at, at + 16), representation);
  }
});

test("a model behind a URL is read by ranges, with the headers given", async (t) => {
  const file = await readFile(join(cwd, "models", "chess-lora-1.safetensors"));
  const asked: (string | undefined)[] = [];
  const url = await serveModel(t, (request, response) => {
    asked.push(request.headers["x-key"]?.toString());
    answerRange(file, request, response);
  });
  const words = ["embed", `${url}?signature=secret`, ...local, ...texts, "--json", "--header", "X-Key: 7"];
  const { code, stdout, stderr } = await runInFolder(cwd, words);
  t.is(code, 0, stderr);
  const [line] = parseLines<EmbedLine>(stdout);
  t.is(line?.file, url);
  t.is(line?.labels?.[0]?.label, "chess");
  t.true(asked.length > 0 && asked.every((key) => key === "7"));
});
