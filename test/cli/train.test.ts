import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { writeWordEncoder } from "../../src/text/write-word-encoder.js";
import { type CliResult, makeExampleFolder, oneBackend, parseLines, runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeExampleFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

const run = (words: readonly string[]): Promise<CliResult> => runInFolder(cwd, words);

const data = ["train", "./models", "--label-key", "concept", "--layer", "lm.blocks.1.attn.to_out"];
const sizes = ["--probes", "8", "--projection", "8", "--representation", "16", "--epochs", "12", "--batch-size", "4"];
const zeroshot = ["--texts", "./texts.safetensors", ...sizes];

let trained: Promise<CliResult> | undefined;
/** Trains `trained/mine` in a process of its own, for the first who asks. */
function train(): Promise<CliResult> {
  trained ??= runCli([...data, ...zeroshot, "--out", "trained/mine"], { cwd });
  return trained;
}

test("a trained expert is served like any other", async (t) => {
  const { code, stdout, stderr } = await train();
  // Two of the models are whole ones, without the LoRA layer.
  t.is(code, 1, stderr);
  t.regex(stdout, /26 models with labels; splits made by lot/);
  t.regex(
    stderr,
    /models without the layer "lm\.blocks\.1\.attn\.to_out": 2\n +[\w-]+-full\.safetensors: The model has no/,
  );
  t.regex(stderr, /epoch 1 of 12 +loss \d\.\d+ +val \d+\.\d%/);
  t.regex(stdout, /best on val: epoch \d+ of 12/);
  t.regex(stdout, /the expert is in trained\/mine/);
  const manifest = JSON.parse(await readFile(join(cwd, "trained/mine/expert.json"), "utf8"));
  t.is(manifest.provenance.settings.epochs, 12);
  t.is(manifest.labels.length, 7);
  // Of each label too few models are kept for validation to fit all probabilities on.
  t.regex(stdout, /^scores: a background of 18 models; .*not fitted: texts of known labels/m);
  t.regex(manifest.calibration.scores.sha256, /^[0-9a-f]{64}$/);
  const where = ["--local", "--experts", "./trained", "--texts", "./texts.safetensors"];
  const embedded = await run(["embed", "./models", ...where, "--json", ...oneBackend]);
  const results = parseLines<{ representation?: number[] }>(embedded.stdout);
  t.is(results.filter(({ representation }) => representation?.length === 16).length, 24);
});

test("the same command gives the same expert", async (t) => {
  t.is((await train()).code, 1);
  t.is((await run([...data, ...zeroshot, "--out", "./again/mine"])).code, 1);
  const [once, again] = await Promise.all(
    ["trained", "again"].map((folder) => readFile(join(cwd, folder, "mine", "expert.safetensors"))),
  );
  t.true(again?.equals(once ?? new Uint8Array(0)));
});

test("a classification expert needs no texts", async (t) => {
  const words = [...data, ...sizes, "--objective", "classification", "--out", "./labels/mine"];
  const { code, stdout, stderr } = await run(words);
  t.is(code, 1, stderr);
  t.regex(stdout, /the expert is in labels\/mine/);
});

test("a dry run says what is there and makes nothing", async (t) => {
  const { code, stdout } = await run([...data, ...zeroshot, "--out", "./dry/mine", "--dry-run"]);
  t.is(code, 0);
  t.regex(stdout, /train +\d+ +7 /);
  await t.throwsAsync(readFile(join(cwd, "dry/mine/expert.json")));
});

test("what cannot be trained ends with what to do", async (t) => {
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[...data, "--out", "./x/y"], 2, /a zero-shot expert needs --text-encoder or --texts/],
    [[...data, ...zeroshot, "--out", "./models"], 2, /--out: models exists already/],
    [[...data, ...zeroshot, "--out", "./x/y", "--learning-rate", "fast"], 2, /number from 0 on/],
    [["train", "./models", "--label-key", "kind", "--layer", "z", ...zeroshot, "--out", "./x/y"], 2, /under "kind"/],
    [
      ["train", "./models", "--label-key", "concept", "--layer", "z", ...zeroshot, "--out", "./x/y"],
      2,
      /none of the 26/,
    ],
    [
      ["train", "./absent", "--label-key", "concept", "--layer", "z", ...zeroshot, "--out", "./x/y"],
      3,
      /no file "absent"/,
    ],
    [[...data, "--label-key", "format", ...zeroshot, "--out", "./x/y"], 2, /one label, "pt"/],
  ];
  for (const [words, wanted, message] of cases) {
    const { code, stderr } = await run(words);
    t.is(code, wanted, stderr);
    t.regex(stderr, message);
  }
});

test("labels are encoded by a text encoder, which the expert names, and the best layer is found", async (t) => {
  const words = ["astronomy", "birds", "chess", "cooking", "gardening", "jazz", "sailing", "weaving", "about"];
  const vectors = new Random(8).spread(words.length * 16, 1);
  await writeWordEncoder(join(cwd, "encoder"), { words, vectors, width: 16 });
  const encoder = ["--text-encoder", "./encoder", "--prompt", "about {}"];
  const base = ["train", "./models", "--label-key", "concept", ...sizes, ...encoder];
  const { code, stdout, stderr } = await run([...base, "--layer", "auto", "--out", "./auto/mine"]);
  t.is(code, 1, stderr);
  t.regex(stdout, /4 layers, 10 epochs of a small expert on each:/);
  t.regex(stdout, /the best layer is lm\.blocks\.1\.attn\.to_/);
  t.regex(stderr, /val \d+\.\d% .*lm\.blocks\.1\.attn\.to_out/);
  const manifest = JSON.parse(await readFile(join(cwd, "auto/mine/expert.json"), "utf8"));
  t.regex(manifest.text.encoder, /^[0-9a-f]{64}$/);
  t.is(manifest.text.prompt, "about {}");
  const judged = await run(["eval", "./auto/mine", "./models", "--text-encoder", "./encoder"]);
  t.is(judged.code, 1, judged.stderr);
  await writeWordEncoder(join(cwd, "other"), { words, vectors: vectors.map((value) => -value), width: 16 });
  const wrong = await run(["eval", "./auto/mine", "./models", "--text-encoder", "./other"]);
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /--text-encoder: its ONNX model is [0-9a-f]{12}…, the expert was trained with/);
  for (const [more, message] of [
    [["--texts", "./texts.safetensors"], /one of the two; both are there/],
    [["--prompt", "about"], /has no \{\}/],
  ] as const) {
    const refused = await run([...base, "--layer", "auto", "--out", "./x/y", ...more]);
    t.is(refused.code, 2);
    t.regex(refused.stderr, message);
  }
});
