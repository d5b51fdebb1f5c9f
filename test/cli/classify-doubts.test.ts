import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { readPackedTree, toModelFile } from "../../scripts/demo-zoo/packed-tree.js";
import { parseLines } from "./run-cli.js";
import { runInProcess } from "./run-in-process.js";

const test = anyTest as TestFn<{
  folder: string;
  ask: (labels: string, ...words: string[]) => ReturnType<typeof runInProcess>;
}>;

/** A model of "plain red circle", and the demo's expert. */
test.before(async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "probestream-classify-"));
  const tree = await readPackedTree(join("demo", "loras.safetensors"));
  const index = tree.models.findIndex(({ metadata }) => metadata["concept"] === "plain red circle");
  const file = join(folder, "model.safetensors");
  await writeFile(file, toModelFile(tree, index));
  const local = ["--local", "--experts", join("demo", "experts"), "--store", join(folder, "store")];
  await runInProcess(["index", file, ...local, "--backend", "wasm"]);
  t.context = {
    folder,
    ask: (labels, ...words) => runInProcess(["classify", "model.safetensors", "--labels", labels, ...local, ...words]),
  };
});

test.after.always((t) => rm(t.context.folder, { recursive: true, force: true }));

test("labels of the expert's kind are judged without a remark", async (t) => {
  const { code, stdout, stderr } = await t.context.ask("plain red circle,striped blue square,checked pink bar");
  t.is(code, 0, stderr);
  t.is(stderr, "");
  t.regex(stdout, /model\.safetensors .* plain red circle\n/);
});

test("labels that are only words of the expert's are judged with a remark that their probabilities are not calibrated", async (t) => {
  const { code, stderr } = await t.context.ask("circle,square,ring");
  t.is(code, 0);
  t.is(
    stderr,
    "not calibrated, for these labels are far from those that pictures was trained on: circle, square, ring\n",
  );
});

test("labels that cannot be judged are left out and named with their reason", async (t) => {
  const labels = "unicorn,an elephant,purple plain red circle,plain red ring";
  const { code, stdout, stderr } = await t.context.ask(labels);
  t.is(code, 0);
  t.notRegex(stdout, /unicorn|elephant/);
  t.deepEqual(stderr.split("\n"), [
    "left out, for the text encoder of pictures knows no word of them: unicorn",
    "left out, for they are far from what pictures was trained on: an elephant",
    "the text encoder of pictures does not know: purple",
    "",
  ]);
  const json = await t.context.ask(labels, "--json");
  const [line] = parseLines<object>(json.stdout);
  t.like(line, {
    isCalibrated: true,
    unjudged: [
      { label: "unicorn", error: { reason: "TEXT_NOT_JUDGED" } },
      { label: "an elephant", error: { reason: "TEXT_NOT_JUDGED" } },
    ],
    doubtful: [{ label: "purple plain red circle", unknownWords: ["purple"], isUnfamiliar: false }],
  });
});

test("where no label can be judged the model is not, and all are named", async (t) => {
  const { code, stdout, stderr } = await t.context.ask("unicorn,an elephant");
  t.is(code, 3);
  t.is(stdout, "");
  t.regex(
    stderr,
    /none of the labels: its text encoder knows no word of "unicorn"; unlike everything that it was trained on: "an elephant"/,
  );
});
