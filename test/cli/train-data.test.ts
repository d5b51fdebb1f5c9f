import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { randomValues } from "../helpers/random.js";
import { createTemporaryFolder, type Teardown } from "../helpers/temporary-folder.js";
import type { CliResult } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

const sizes = ["--probes", "2", "--projection", "2", "--representation", "2", "--epochs", "2", "--batch-size", "4"];
const classify = ["--layer", "a", "--objective", "classification", "--out", "./out/mine", ...sizes];

function createTensor(shape: readonly [number, number], values: Float32Array, name = "a.weight"): TensorData {
  return { name, dtype: "F32", shape, bytes: float32Bytes(values) };
}

/** Writes models, a dense layer of 4 × 3 each: 8 of each of two labels, and files beside them. */
async function writeModels(
  t: Teardown,
  others: Readonly<Record<string, string | Uint8Array>> = {},
  createValues = (seed: number): Float32Array => randomValues(12, seed),
): Promise<string> {
  const cwd = await createTemporaryFolder(t);
  await mkdir(join(cwd, "models"));
  for (let i = 0; i < 16; i++) {
    const label = i % 2 === 0 ? "cat" : "dog";
    const model = encodeSafetensors([createTensor([4, 3], createValues(i + 1))], { concept: label });
    await writeFile(join(cwd, `models/${label}-${String(i).padStart(2, "0")}.safetensors`), model);
  }
  for (const [path, content] of Object.entries(others)) await writeFile(join(cwd, path), content);
  return cwd;
}

const rows = Array.from({ length: 16 }, (_, i) => {
  const label = i % 2 === 0 ? "cat" : "dog";
  return [`${label}-${String(i).padStart(2, "0")}.safetensors`, label] as const;
});

/** Trains a classifier in a folder on its models and a file of labels. */
function train(cwd: string, labels: string, ...more: readonly string[]): Promise<CliResult> {
  return runInFolder(cwd, ["train", "./models", "--labels", `./${labels}`, ...classify, ...more]);
}

test("labels come from a CSV file beside the models", async (t) => {
  const csv = `\ufeffpath,label\r\n${rows.map((row) => row.join(",")).join("\r\n")}\r\n`;
  const cwd = await writeModels(t, { "labels.csv": csv });
  const { code, stdout, stderr } = await train(cwd, "labels.csv");
  t.is(code, 0, stderr);
  t.regex(stdout, /16 models with labels; splits made by lot\n/);
  t.regex(stdout, /the expert is in out\/mine/);
});

test("what a label file says wrong is counted with examples, and the rest is trained", async (t) => {
  const lines = [
    '{"path": "models/absent.safetensors", "label": "cat"}',
    ...rows.slice(1).map(([path, label]) => JSON.stringify({ path, labels: [label, "pet"] })),
    JSON.stringify({ path: rows[1]?.[0], labels: ["dog", "pet"] }),
    JSON.stringify({ path: rows[2]?.[0], labels: ["dog"] }),
    JSON.stringify({ path: "../models/unsplit.safetensors", label: "cat", split: "dev" }),
    JSON.stringify({ path: "../models/bare.safetensors", label: "" }),
    "{",
  ];
  const model = encodeSafetensors([createTensor([4, 3], randomValues(12, 99))]);
  const cwd = await writeModels(t, {
    "labels.jsonl": lines.join("\n"),
    "models/unsplit.safetensors": model,
    "models/bare.safetensors": model,
    "models/broken.safetensors": "not a model",
  });
  const { code, stdout, stderr } = await train(cwd, "labels.jsonl");
  t.is(code, 1, stderr);
  for (const pattern of [
    /^14 models with labels/m,
    /^files that cannot be read: 1\n {2}broken\.safetensors: /m,
    /^files without a label: 1\n {2}bare\.safetensors: line 20 of labels\.jsonl has no label$/m,
    /^files of an unknown split: 1\n {2}unsplit\.safetensors: line 19 of labels\.jsonl has the split "dev"/m,
    /^files whose rows contradict each other: 1\n {2}cat-02\.safetensors: lines 3 and 18 of labels\.jsonl/m,
    /^files without a row: 1\n {2}cat-00\.safetensors: /m,
    /^rows that name no model of the folder: 1\n {2}line 1: "models\/absent\.safetensors"$/m,
    /^malformed lines: 1\n {2}line 21: no JSON$/m,
    /^rows that repeat an earlier one, taken once: 1\n {2}line 17: "dog-01\.safetensors", as line 2 says$/m,
    /the expert is in out\/mine/,
  ]) {
    t.regex(stdout, pattern);
  }
});

test("rows for absent files fail a dry run; rows that are there twice do not", async (t) => {
  const csv = `path,label\n${rows.map((row) => row.join(",")).join("\n")}\n`;
  const cwd = await writeModels(t, {
    "twice.csv": `${csv}${rows[0]?.join(",")}\n`,
    "absent.csv": `${csv}${Array.from({ length: 7 }, (_, i) => `${i}.safetensors,cat`).join("\n")}\n`,
  });
  const dryRun = (file: string) => train(cwd, file, "--dry-run");
  t.is((await dryRun("twice.csv")).code, 0);
  const { code, stdout } = await dryRun("absent.csv");
  t.is(code, 1);
  t.regex(
    stdout,
    /name no model of the folder: 7\n {2}line 18: "0\.safetensors"\n(?: {2}line.*\n){4} {2}… and 2 more\n/,
  );
});

test("labels with odd characters are kept in the expert, and plain on the terminal", async (t) => {
  const odd = 'a "b", \u001b[31m猫\n🐶';
  const text = rows.map(([path, label]) => JSON.stringify({ path, label: label === "cat" ? odd : label })).join("\n");
  const one = rows.map(([path]) => JSON.stringify({ path, label: odd })).join("\n");
  const cwd = await writeModels(t, { "labels.jsonl": text, "one.jsonl": one });
  const { code, stdout, stderr } = await train(cwd, "labels.jsonl");
  t.is(code, 0, stderr);
  t.true(stdout.includes('a "b", \ufffd[31m猫\ufffd🐶'));
  t.false(stdout.includes("\u001b"));
  const manifest = JSON.parse(await readFile(join(cwd, "out/mine/expert.json"), "utf8"));
  t.deepEqual(manifest.labels, [odd, "dog"]);
  const words = ["train", "./models", "--labels", "./one.jsonl", "--layer", "a", "--objective", "classification"];
  const refused = await runInFolder(cwd, [...words, "--out", "./out/one"]);
  t.is(refused.code, 2);
  t.regex(refused.stderr, /have one label, "a "b", /);
  t.false(refused.stderr.includes("\u001b"));
});

test("layers that cannot be used are counted by what is wrong with them", async (t) => {
  const concept = { concept: "cat" };
  const cwd = await writeModels(t, {
    "models/1.safetensors": encodeSafetensors([createTensor([4, 3], randomValues(12, 1), "b.weight")], concept),
    "models/2.safetensors": encodeSafetensors([createTensor([3, 4], randomValues(12, 1))], concept),
    "models/3.safetensors": encodeSafetensors(
      [createTensor([4, 3], randomValues(12, 1).fill(Number.NaN, 5, 6))],
      concept,
    ),
    "models/4.safetensors": encodeSafetensors([createTensor([4, 3], randomValues(12, 1).fill(-1 / 0, 0, 1))], concept),
    "models/5.safetensors": encodeSafetensors([createTensor([4, 3], new Float32Array(12))], concept),
    "models/6.safetensors": "not a model",
  });
  const { code, stdout, stderr } = await runInFolder(cwd, ["train", "./models", "--label-key", "concept", ...classify]);
  t.is(code, 1, stderr);
  t.regex(stdout, /files that cannot be read: 1\n {2}6\.safetensors: /);
  for (const pattern of [
    /models without the layer "a": 1\n {2}1\.safetensors: /,
    /models with another shape of the layer "a": 1\n {2}2\.safetensors: the layer is 3 × 4, that of most models 4 × 3\n/,
    /models with NaN or infinity in the layer "a": 2\n {2}3\.safetensors: .*NaN at row 1.*\n {2}4\.safetensors: .*-Infinity/,
    /models with one number all over the layer "a": 1\n {2}5\.safetensors: all numbers of the layer "a" are 0/,
  ]) {
    t.regex(stderr, pattern);
  }
});

test("a layer that is the same in all models is refused", async (t) => {
  const cwd = await writeModels(t, {}, () => randomValues(12, 5));
  const { code, stderr } = await runInFolder(cwd, ["train", "./models", "--label-key", "concept", ...classify]);
  t.is(code, 2);
  t.regex(stderr, /layer "a" holds the same numbers in all 16 models/);
});

test("labels come from one place, and from a file that can be read", async (t) => {
  const cwd = await writeModels(t, {
    "semicolons.csv": "path;label\n",
    "none.csv": "path,label\nabsent.safetensors,cat\n",
  });
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /from --label-key or from --labels, one of the two; neither is there/],
    [["--label-key", "concept", "--labels", "./none.csv"], /one of the two; both are there/],
    [["--labels", "./absent.csv"], /--labels: There is no file "absent\.csv"/],
    [["--labels", "./semicolons.csv"], /--labels: "semicolons\.csv": its first line names the columns "path;label"/],
    [["--labels", "./none.csv"], /no model has a label in "none\.csv" that can be used/],
  ];
  for (const [words, message] of cases) {
    const { code, stderr } = await runInFolder(cwd, ["train", "./models", ...words, ...classify]);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
  }
});

test("lists and tag frequencies of headers are labels through their key", async (t) => {
  const cwd = await createTemporaryFolder(t);
  await mkdir(join(cwd, "models"));
  for (let i = 0; i < 16; i++) {
    const label = i % 2 === 0 ? "cat" : "dog";
    const metadata = {
      dataset_chosen_targets: `['${label}', "owner's"]`,
      imagenet_class_id: i % 2 === 0 ? "n02123045" : "n02085620",
      ss_tag_frequency: JSON.stringify({ "10_x": { [label]: 9, outside: 5, once: 1 } }),
    };
    const model = encodeSafetensors([createTensor([4, 3], randomValues(12, i + 1))], metadata);
    await writeFile(join(cwd, `models/${i}.safetensors`), model);
  }
  for (const [key, pattern] of [
    ["dataset_chosen_targets", /train +\d+ +3 +cat, dog, owner's\n/],
    ["imagenet_class_id", /train +\d+ +2 +n02085620, n02123045\n/],
    ["ss_tag_frequency", /train +\d+ +3 +cat, dog, outside\n/],
  ] as const) {
    const { code, stdout, stderr } = await runInFolder(cwd, [
      "train",
      "./models",
      "--label-key",
      key,
      ...classify,
      "--dry-run",
    ]);
    t.is(code, 0, stderr);
    t.regex(stdout, pattern);
  }
});
