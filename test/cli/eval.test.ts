import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { type CliResult, makeExampleFolder, parseLines, runCli } from "./run-cli.js";
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

test("an expert is evaluated with what its training knew, as a table, as JSON, and as a page", async (t) => {
  const made = await run([...data, ...zeroshot, "--out", "./judged/mine"]);
  t.is(made.code, 1, made.stderr);
  const words = ["eval", "./judged/mine", "./models", "--texts", "./texts.safetensors"];
  const { code, stdout, stderr } = await runCli([...words, "--report", "mine.html"], { cwd });
  t.is(code, 1, stderr);
  t.regex(stdout, /test +expert +\d/);
  t.regex(stdout, /the report is in mine\.html/);
  const page = await readFile(join(cwd, "mine.html"), "utf8");
  t.regex(page, /How it was trained/);
  const json = await run([...words, "--json"]);
  const [evaluation] = parseLines<{ splits: { split: string; models: number }[] }>(json.stdout);
  t.deepEqual(
    evaluation?.splits.map(({ split }) => split),
    ["val", "test", "val_holdout"],
  );
});

test("what cannot be evaluated ends with what to do", async (t) => {
  t.is((await run([...data, ...zeroshot, "--epochs", "1", "--out", "./unjudged/mine"])).code, 1);
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["eval", "./unjudged/mine", "./models"], 2, /needs --text-encoder or --texts/],
    [["eval", "./absent", "./models"], 3, /absent is not an expert folder/],
    [
      ["eval", "./unjudged/mine", "./models", "--texts", "./texts.safetensors", "--report", "./no/where.html"],
      2,
      /--report/,
    ],
    [
      ["eval", "./unjudged/mine", "./models", "--texts", "./texts.safetensors", "--label-key", "kind"],
      2,
      /under "kind"/,
    ],
  ];
  for (const [words, wanted, message] of cases) {
    const { code, stderr } = await run(words);
    t.is(code, wanted, stderr);
    t.regex(stderr, message);
  }
});
