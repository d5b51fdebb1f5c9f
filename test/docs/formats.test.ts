import { execFile, execFileSync } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { parseExpertManifest } from "../../src/experts/expert-manifest.js";
import { readTexts } from "../../src/search/read-texts.js";
import { writeWordEncoder } from "../../src/text/write-word-encoder.js";
import { readLabelFile } from "../../src/training/datasets/read-label-file.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { encodeSafetensors } from "../../src/weights/safetensors-writer.js";
import { selectLayer } from "../../src/weights/select-layer.js";
import { makeExampleFolder, oneBackend, parseLines } from "../cli/run-cli.js";
import { runInFolder } from "../cli/run-in-process.js";
import { createExpertParameters, toStateDict } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { type FencedBlock, findBlock, readFencedBlocks } from "./fenced-blocks.js";
import { createUserFolder, runSnippet } from "./user-folder.js";

const path = "docs/formats.md";

/** Debian's interpreter, which has Debian's NumPy; another may come first in PATH. */
const python = "/usr/bin/python3";

function findMissing(): string | undefined {
  try {
    execFileSync(python, ["-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('numpy') is None)"], {
      stdio: "pipe",
    });
    return undefined;
  } catch {
    return "python3-numpy is not installed";
  }
}

const missing = findMissing();
const withPython = missing === undefined ? test : test.skip;
const reason = missing === undefined ? "" : ` (skipped: ${missing})`;

let blocks: readonly FencedBlock[] = [];
let example = "";
test.before(async () => {
  blocks = await readFencedBlocks(path);
  example = await makeExampleFolder();
});
test.after.always(() => rm(example, { recursive: true, force: true }));

/** Runs a sample where `safetensors` and `torch` are stand-ins. */
async function runPython(folder: string, text: string): Promise<string> {
  const env = { PYTHONPATH: join(repositoryRoot, "test/docs/python"), PYTHONDONTWRITEBYTECODE: "1" };
  return (await promisify(execFile)(python, ["-c", text], { cwd: folder, env })).stdout;
}

/** A state dict that fits a manifest. */
function createState(text: string): Uint8Array {
  const { objective, labels, layer } = parseExpertManifest(text, path);
  const headWidth = objective === "classification" ? labels.length : 5;
  return encodeSafetensors(toStateDict(createExpertParameters({ objective, ...layer.shape, headWidth })));
}

for (const file of [path, "README.md"]) {
  test(`every expert.json of ${file} makes an expert`, async (t) => {
    const folder = await createTemporaryFolder(t);
    const manifests = (await readFencedBlocks(file)).filter(({ text }) => text.includes("probestream-expert/1"));
    t.is(manifests.length, file === path ? 3 : 1);
    for (const [index, { text }] of manifests.entries()) {
      await mkdir(join(folder, `${index}`));
      await writeFile(join(folder, `${index}`, "expert.json"), text);
      await writeFile(join(folder, `${index}`, "expert.safetensors"), createState(text));
    }
    const { experts, unusable } = await openCatalogue(folder).list();
    t.deepEqual(unusable, []);
    t.is(experts.length, manifests.length);
  });
}

test("the expert for GPT-2 reads the keys of a packed layer", (t) => {
  const { layer } = parseExpertManifest(findBlock(blocks, "json", '"transposed"'), path);
  const tensor = { name: "h.5.attn.c_attn.weight", dtype: "F32", shape: [768, 2304] };
  const [selected, ...others] = selectLayer(new Map([[tensor.name, tensor]]), layer);
  t.deepEqual(selected?.columns, { begin: 768, end: 1536 });
  t.is(others.length, 0);
});

/** Keys of the table of expert.json, with what it says is their default. */
async function readKeyTable(): Promise<Map<string, string>> {
  const markdown = await readFile(join(repositoryRoot, path), "utf8");
  const begin = markdown.indexOf("| key | value | default |");
  const rows = markdown.slice(begin, markdown.indexOf("\n\n", begin)).matchAll(/^\| `([\w.]+)` \|.*\| (.+) \|$/gm);
  return new Map(Array.from(rows, ([, key = "", value = ""]) => [key, value]));
}

/** Keys of a manifest, those of `layer` and `text` with these before them. */
function toKeys(manifest: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(manifest).flatMap(([key, value]) =>
    key === "layer" || key === "text" ? Object.keys(Object(value)).map((inner) => `${key}.${inner}`) : [key],
  );
}

test("the table has the keys of the samples, and the defaults that are in force", async (t) => {
  const table = await readKeyTable();
  const manifests = blocks.filter(({ text }) => text.includes("probestream-expert/1"));
  const keys = new Set(manifests.flatMap(({ text }) => toKeys(JSON.parse(text))));
  keys.delete("provenance");
  t.deepEqual([...table.keys()].sort(), [...keys].sort());
  const defaults = [...table].filter(([, value]) => value !== "none").map(([key]) => key);
  t.deepEqual(defaults, ["layer.layout", "layer.rows", "layer.loraScale", "text.prompt", "labels"]);
  const least = {
    format: "probestream-expert/1",
    objective: "zeroshot",
    weights: "expert.safetensors",
    layer: { module: "m.fc", kind: "dense" },
    shape: [6, 4],
    text: { encoder: "0".repeat(64) },
  };
  const { layer, text, labels } = parseExpertManifest(JSON.stringify(least), path);
  t.is(table.get("layer.layout"), `\`"${layer.layout}"\``);
  t.is(table.get("layer.loraScale"), `\`"${layer.loraScale}"\``);
  t.is(table.get("text.prompt"), `\`"${text?.prompt}"\``);
  t.is(table.get("labels"), `\`${JSON.stringify(labels)}\``);
  t.is(layer.rows, undefined);
});

withPython(`the sample makes expert.safetensors of a PyTorch checkpoint${reason}`, async (t) => {
  const folder = await createTemporaryFolder(t);
  const state = toStateDict(createExpertParameters({ rows: 12, columns: 10 }));
  const [first] = state;
  if (first === undefined) throw t.fail();
  const saved = [...state, { ...first, name: "optimizer" }].map((tensor) => ({
    ...tensor,
    name: `module.${tensor.name}`,
  }));
  await writeFile(join(folder, "checkpoint.pt"), encodeSafetensors(saved));
  t.is(await runPython(folder, findBlock(blocks, "python", "torch.load")), "shape: [12, 10]\n");
  const { tensors } = await readTensors(join(folder, "expert.safetensors"));
  t.deepEqual(Object.fromEntries(tensors), Object.fromEntries(state.map((tensor) => [tensor.name, tensor])));
});

const labels = ["birds", "chess", "jazz"];

withPython(`the NumPy sample writes texts that are read${reason}`, async (t) => {
  const folder = await createTemporaryFolder(t);
  await runPython(folder, findBlock(blocks, "python", "text_embeds"));
  const texts = await readTexts(join(folder, "texts.safetensors"));
  t.deepEqual(texts.labels, labels);
  t.is(texts.vectors.columns, 32);
});

test("the JavaScript sample writes texts that are read", async (t) => {
  const folder = await createUserFolder(t);
  await runSnippet(folder, findBlock(blocks, "js", "text_embeds"));
  const texts = await readTexts(join(folder, "texts.safetensors"));
  t.deepEqual(texts.labels, labels);
  t.is(texts.vectors.columns, 32);
});

test("the JavaScript sample encodes texts, and says which is unknown", async (t) => {
  const folder = await createUserFolder(t);
  const words = ["pictures", "of", "birds"];
  await writeWordEncoder(join(folder, "text-encoder"), { words, vectors: new Float32Array(12).fill(1), width: 4 });
  t.is(await runSnippet(folder, findBlock(blocks, "js", "startTextEncoder")), "4 8 [] [ 1 ]\n");
});

const embed = ["embed", "--local", "--experts", "./experts", "--texts", "./texts.safetensors", ...oneBackend];

test("embed --out writes what the tables say for one expert", async (t) => {
  const words = [...embed, "./models/birds-lora-1.safetensors", "--out", "./one.safetensors"];
  const { code, stderr } = await runInFolder(example, words);
  t.is(code, 0, stderr);
  const { tensors, metadata } = await readTensors(join(example, "one.safetensors"));
  t.deepEqual([...tensors.keys()].sort(), ["representations", "scores"]);
  t.deepEqual([...metadata.keys()].sort(), ["expert", "files", "format", "labels", "space_id"]);
  t.is(metadata.get("format"), "probestream-representations/1");
});

withPython(`embed --out writes what the tables say for two experts, and the sample reads it${reason}`, async (t) => {
  const words = [...embed, "./models", "--out", "./representations.safetensors"];
  const { code, stderr } = await runInFolder(example, words);
  t.is(code, 0, stderr);
  const { tensors, metadata } = await readTensors(join(example, "representations.safetensors"));
  const { experts } = await openCatalogue(join(example, "experts")).list();
  const withEndings = (names: readonly string[]) =>
    experts.flatMap(({ spaceId }) => names.map((name) => `${name}.${spaceId.slice(0, 12)}`));
  t.deepEqual([...tensors.keys()].sort(), withEndings(["representations", "scores"]).sort());
  const keys = withEndings(["expert", "files", "labels", "space_id"]);
  t.deepEqual([...metadata.keys()].sort(), [...keys, "format"].sort());
  const printed = await runPython(example, findBlock(blocks, "python", "safe_open"));
  t.deepEqual(printed.trim().split("\n").sort(), ["concepts-dense 2 (2, 16)", "concepts-lora 24 (24, 16)"]);
});

/** The names in a value, at every depth; of a list those of its first. */
function toShape(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(toShape);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toShape(inner)]));
}

test("lines of embed --json have the fields of the samples", async (t) => {
  const models = ["./models/birds-lora-1.safetensors", "./texts.safetensors"];
  const { stdout, stderr } = await runInFolder(example, [...embed, ...models, "--json"]);
  const lines = parseLines<Readonly<Record<string, unknown>>>(stdout);
  t.is(lines.length, 2, stderr);
  const result = lines.find((line) => !("error" in line));
  t.deepEqual(toShape(JSON.parse(findBlock(blocks, "json", '"timings"'))), toShape(result));
  const failure = lines.find((line) => "error" in line);
  const error: unknown = failure?.["error"];
  const sample: unknown = JSON.parse(findBlock(blocks, "json", '"error"'));
  t.deepEqual(toShape(sample), toShape({ ...failure, error: { ...Object(error), facts: { experts: 2 } } }));
});

test("the label files of the document say what stands there", async (t) => {
  const folder = await createTemporaryFolder(t);
  const read = async (language: string) => {
    const path = join(folder, `labels.${language}`);
    await writeFile(path, findBlock(blocks, language, "path"));
    const { rows, malformed } = await readLabelFile(path, { separator: "|" });
    t.deepEqual(malformed, []);
    return rows.map(({ path, content }) => ("labels" in content ? [path, content.labels, content.split] : content));
  };
  t.deepEqual(await read("csv"), [
    ["cats, small/1.safetensors", ["cat", "small"], "train"],
    ["dogs/2.safetensors", ["dog", "owner's"], "val"],
    ["dogs/3.safetensors", ["dog"], undefined],
  ]);
  t.deepEqual(await read("jsonl"), [
    ["cats, small/1.safetensors", ["cat", "small"], "train"],
    ["dogs/2.safetensors", ["a photo of a dog, asleep"], undefined],
  ]);
});
