import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test from "ava";
import { NotFoundError } from "../../../src/errors/probestream-error.js";
import { readLabelFile } from "../../../src/training/datasets/read-label-file.js";
import { scanDataset } from "../../../src/training/datasets/scan-dataset.js";
import { encodeSafetensors } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder, type Teardown } from "../../helpers/temporary-folder.js";

/** Writes a file per path: its metadata, or its bytes. */
async function writeDataset(t: Teardown, files: Readonly<Record<string, Record<string, string> | string>>) {
  const folder = await createTemporaryFolder(t);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    const one = { name: "w", dtype: "F32", shape: [1], bytes: new Uint8Array(4) };
    await writeFile(join(folder, path), typeof content === "string" ? content : encodeSafetensors([one], content));
  }
  return folder;
}

test("the authors' folders are read: a folder per split and model, labels and split in the header", async (t) => {
  const folder = await writeDataset(t, {
    "train/model_idx_0001/pytorch_lora_weights.safetensors": { concept: "cat" },
    "val_holdout/model_idx_0002/pytorch_lora_weights.safetensors": { concept: "sea lion" },
    "elsewhere/3.safetensors": { concept: 'dog, "the" 🐶\nof a neighbour', split: "test" },
  });
  const { models, refused, splitSource } = await scanDataset(folder, { labelKey: "concept" });
  t.is(splitSource, "files");
  t.deepEqual(refused, []);
  t.deepEqual(
    models.map(({ path, labels, split }) => ({ path, labels, split })),
    [
      { path: "elsewhere/3.safetensors", labels: ['dog, "the" 🐶\nof a neighbour'], split: "test" },
      { path: "train/model_idx_0001/pytorch_lora_weights.safetensors", labels: ["cat"], split: "train" },
      {
        path: "val_holdout/model_idx_0002/pytorch_lora_weights.safetensors",
        labels: ["sea lion"],
        split: "val_holdout",
      },
    ],
  );
});

test("lists of labels are read as Python writes them", async (t) => {
  const folder = await writeDataset(t, {
    "1.safetensors": { dataset_chosen_targets: "['cat', \"dog's\"]" },
    "2.safetensors": { dataset_chosen_targets: "[3, 17]" },
    "3.safetensors": { dataset_chosen_targets: "[3, open('x')]" },
    "4.safetensors": { dataset_chosen_targets: "[]" },
  });
  const { models, refused } = await scanDataset(folder, { labelKey: "dataset_chosen_targets" });
  t.deepEqual(
    models.map(({ labels }) => labels),
    [
      ["cat", "dog's"],
      ["3", "17"],
    ],
  );
  t.deepEqual(
    refused.map(({ path }) => path),
    ["3.safetensors", "4.safetensors"],
  );
  t.regex(refused[0]?.reason ?? "", /something other than a text or a number/);
  t.regex(refused[1]?.reason ?? "", /is empty/);
});

test("models that cannot be used are named, each with its reason", async (t) => {
  const folder = await writeDataset(t, {
    "a.safetensors": { concept: "cat" },
    "b.safetensors": "not a model",
    "c.safetensors": { title: "c", author: "d" },
    "d.safetensors": { concept: "  " },
    "hidden/e.safetensors": { concept: "cat" },
  });
  await chmod(join(folder, "hidden"), 0);
  t.teardown(() => chmod(join(folder, "hidden"), 0o700));
  const { models, refused } = await scanDataset(folder, { labelKey: "concept" });
  t.true(models.length >= 1);
  const reasons = new Map(refused.map(({ path, reason }) => [path, reason]));
  t.true(reasons.has("b.safetensors"));
  t.regex(reasons.get("c.safetensors") ?? "", /no "concept"; it has author, title/);
  t.regex(reasons.get("d.safetensors") ?? "", /is empty/);
  // Root may read every folder.
  t.true(models.length === 2 || reasons.has("hidden"));
});

test("without splits in the files they are made, the same each time", async (t) => {
  const files: Record<string, Record<string, string>> = {};
  for (let i = 0; i < 200; i++) files[`${i}.safetensors`] = { concept: `label ${i % 20}` };
  const folder = await writeDataset(t, files);
  const one = await scanDataset(folder, { labelKey: "concept" });
  t.is(one.splitSource, "made");
  t.deepEqual(await scanDataset(folder, { labelKey: "concept" }), one);
  t.notDeepEqual((await scanDataset(folder, { labelKey: "concept", seed: 1 })).models, one.models);
  const count = (split: string) => one.models.filter((model) => model.split === split).length;
  t.deepEqual(["train", "val", "test", "val_holdout", "test_holdout"].map(count), [128, 16, 16, 20, 20]);
  const seen = new Set(one.models.filter(({ split }) => split === "train").flatMap(({ labels }) => labels));
  for (const { split, labels } of one.models) t.is(seen.has(labels[0] ?? ""), !split.endsWith("holdout"));
});

test("a folder that is not there is refused", async (t) => {
  const folder = await createTemporaryFolder(t);
  await t.throwsAsync(scanDataset(join(folder, "absent"), { labelKey: "concept" }), { instanceOf: NotFoundError });
});

test("a label file says what headers do not, its splits before those of headers and folders", async (t) => {
  const folder = await writeDataset(t, {
    "a.safetensors": {},
    "test/b.safetensors": { split: "val" },
    "test/c.safetensors": { split: "val" },
    "val/d.safetensors": {},
    "lists/labels.csv": [
      "path,label,split",
      "a.safetensors,cat,train",
      "test/b.safetensors,dog,train",
      "../test/c.safetensors,dog,",
      "../val/d.safetensors,cat,",
    ].join("\n"),
  });
  const labelFile = await readLabelFile(join(folder, "lists/labels.csv"));
  const { models, refused, rowProblems, splitSource } = await scanDataset(folder, { labelFile });
  t.is(splitSource, "files");
  t.deepEqual([refused, rowProblems], [[], []]);
  t.deepEqual(
    models.map(({ path, labels, split }) => [path, labels.join(), split]),
    [
      ["a.safetensors", "cat", "train"],
      ["test/b.safetensors", "dog", "train"],
      ["test/c.safetensors", "dog", "val"],
      ["val/d.safetensors", "cat", "val"],
    ],
  );
});

test("paths are absolute, below the folder, or below that of the label file, the folder first", async (t) => {
  const folder = await writeDataset(t, {
    "x/a.safetensors": {},
    "x/x/a.safetensors": {},
    "x/b.safetensors": {},
    "c.safetensors": {},
  });
  const lines = ["x/a.safetensors", "x/x/a.safetensors", "b.safetensors", join(folder, "c.safetensors")];
  await writeFile(
    join(folder, "x/labels.jsonl"),
    lines.map((path, i) => JSON.stringify({ path, label: i })).join("\n"),
  );
  const labelFile = await readLabelFile(join(folder, "x/labels.jsonl"));
  const { models, refused, rowProblems } = await scanDataset(folder, { labelFile });
  t.deepEqual([refused, rowProblems], [[], []]);
  t.deepEqual(Object.fromEntries(models.map(({ path, labels }) => [path, labels[0]])), {
    "x/a.safetensors": "0",
    "x/x/a.safetensors": "1",
    "x/b.safetensors": "2",
    "c.safetensors": "3",
  });
});

test("rows and files that do not fit are named, each with its line", async (t) => {
  const folder = await writeDataset(t, {
    "once.safetensors": {},
    "twice.safetensors": {},
    "both.safetensors": {},
    "none.safetensors": {},
    "empty.safetensors": {},
    "odd.safetensors": {},
    "broken.safetensors": "not a model",
    "labels.csv": [
      "path,label,split",
      "once.safetensors,cat,",
      "twice.safetensors,cat,",
      "both.safetensors,cat,",
      "absent.safetensors,cat,",
      "./twice.safetensors,cat,",
      "both.safetensors,dog,",
      "empty.safetensors,,",
      "odd.safetensors,cat,valid",
      "broken.safetensors,cat,",
      'stray,"ca"t,',
    ].join("\r\n"),
  });
  const labelFile = await readLabelFile(join(folder, "labels.csv"));
  const { models, refused, rowProblems } = await scanDataset(folder, { labelFile });
  t.deepEqual(
    models.map(({ path }) => path),
    ["once.safetensors", "twice.safetensors"],
  );
  t.deepEqual(Object.fromEntries(refused.map(({ path, kind }) => [path, kind])), {
    "both.safetensors": "contradiction",
    "broken.safetensors": "unreadable",
    "empty.safetensors": "no-label",
    "none.safetensors": "no-row",
    "odd.safetensors": "unknown-split",
  });
  const reasons = new Map(refused.map(({ path, reason }) => [path, reason]));
  t.is(reasons.get("both.safetensors"), "lines 4 and 7 of labels.csv contradict each other");
  t.is(reasons.get("empty.safetensors"), "line 8 of labels.csv has no label");
  t.regex(reasons.get("odd.safetensors") ?? "", /line 9 of labels\.csv has the split "valid"; splits are train, val/);
  t.deepEqual(
    rowProblems.map(({ kind, line, reason }) => [kind, line, reason]),
    [
      ["absent-file", 5, '"absent.safetensors"'],
      ["repeated", 6, '"./twice.safetensors", as line 3 says'],
      ["malformed", 11, "something behind a closing quote; quotes inside quotes are doubled"],
    ],
  );
});

test("splits that only some models say are not taken, and counted", async (t) => {
  const folder = await writeDataset(t, {
    "a.safetensors": { concept: "cat", split: "test" },
    "b.safetensors": { concept: "cat" },
  });
  const { splitSource, splitsFound } = await scanDataset(folder, { labelKey: "concept" });
  t.deepEqual([splitSource, splitsFound], ["made", 1]);
});

test("kohya's tag frequencies are labels by their key", async (t) => {
  const folder = await writeDataset(t, {
    "a.safetensors": { ss_tag_frequency: '{"5_fox": {"fox": 8, "snow": 4, "tree": 3}}' },
    "b.safetensors": { ss_tag_frequency: "{}" },
    "c.safetensors": { ss_tag_frequency: "fox" },
  });
  const { models, refused } = await scanDataset(folder, { labelKey: "ss_tag_frequency" });
  t.deepEqual(
    models.map(({ labels }) => labels),
    [["fox", "snow"]],
  );
  t.deepEqual(
    refused.map(({ path, kind }) => [path, kind]),
    [
      ["b.safetensors", "no-label"],
      ["c.safetensors", "no-label"],
    ],
  );
});
