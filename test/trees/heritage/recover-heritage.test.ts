import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { recoverHeritage } from "../../../src/trees/heritage/recover-heritage.js";
import { toHeritageDot } from "../../../src/trees/heritage/to-heritage-dot.js";
import { toHeritageSvg } from "../../../src/trees/heritage/to-heritage-svg.js";
import { walkHeritage } from "../../../src/trees/heritage/walk-heritage.js";
import { encodeSafetensors, float32Bytes } from "../../../src/weights/safetensors-writer.js";
import { runCli } from "../../cli/run-cli.js";
import { growSmallFamily, hidden, inputs, outputs, type Perceptron } from "../../helpers/small-family.js";
import { createTemporaryFolder, type Teardown } from "../../helpers/temporary-folder.js";

const parents = [-1, 0, 0, 0, 1, 1, 2, 2, 3, 3];
const family = growSmallFamily(parents, 1);

function toFile({ first, second }: Perceptron): Uint8Array {
  return encodeSafetensors([
    { name: "first.weight", dtype: "F32", shape: [hidden, inputs], bytes: float32Bytes(first) },
    { name: "second.weight", dtype: "F32", shape: [outputs, hidden], bytes: float32Bytes(second) },
  ]);
}

async function writeFamily(t: Teardown): Promise<{ folder: string; paths: string[] }> {
  const folder = await createTemporaryFolder(t);
  const paths = family.map((_, model) => join(folder, `<model> & ${model}.safetensors`));
  for (const [model, path] of paths.entries()) await writeFile(path, toFile(family[model] as Perceptron));
  return { folder, paths };
}

test("files of a family are put in order; others are left out with the reason", async (t) => {
  const { folder, paths } = await writeFamily(t);
  const [lora, other, broken] = ["lora", "other", "broken"].map((name) => join(folder, `${name}.safetensors`)) as [
    string,
    string,
    string,
  ];
  const factor = (name: string) => ({ name, dtype: "F32", shape: [8, 8], bytes: new Uint8Array(256) });
  await writeFile(lora, encodeSafetensors([factor("m.lora_A.weight"), factor("m.lora_B.weight")]));
  await writeFile(other, encodeSafetensors([factor("first.weight")]));
  await writeFile(broken, "nothing");
  const found = await recoverHeritage([...paths, lora, other, broken], { direction: "squares-grow" });
  t.deepEqual(found.locations, paths);
  t.deepEqual(found.layers, ["first.weight", "second.weight"]);
  const right = found.edges.filter(({ parent, child }) => parents[child] === parent || parents[parent] === child);
  t.is(right.length, parents.length - 1);
  t.deepEqual(
    found.skipped.map(({ location, error }) => [location, error.reason]),
    [
      [lora, "FORMAT_REFUSED"],
      [other, "SHAPE_MISMATCH"],
      [broken, "HEADER_MALFORMED"],
    ],
  );

  const rows = walkHeritage(found);
  t.is(rows[0]?.descendants, parents.length - 1);
  t.deepEqual(
    rows.map(({ model }) => model).sort((a, b) => a - b),
    [...parents.keys()],
  );
  for (const [place, { parent, depth }] of rows.entries()) {
    const above = rows.findIndex(({ model }) => model === parent);
    t.true(parent === undefined ? place === 0 : above >= 0 && above < place && rows[above]?.depth === depth - 1);
  }
  const svg = toHeritageSvg(found);
  t.is(svg.match(/class="name"/g)?.length, parents.length);
  t.true(svg.includes("&lt;model&gt; &amp; 3.safetensors"));
  const dot = toHeritageDot(found);
  t.is(dot.match(/ -> /g)?.length, parents.length - 1);
});

test("`trees heritage` prints the family as a tree, and writes its edges", async (t) => {
  const { folder } = await writeFamily(t);
  const out = join(await createTemporaryFolder(t), "edges.json");
  const { code, stdout } = await runCli(["trees", "heritage", folder, "--json", out]);
  t.is(code, 0);
  const lines = stdout.trimEnd().split("\n");
  t.is(lines.length, parents.length);
  t.regex(lines[0] ?? "", /\(root\)$/);
  t.true(
    lines.slice(1).every((line) => /^( {2})+<model> & \d\.safetensors {2}[\d.e-]+$/.test(line)),
    stdout,
  );
  const both = await runCli(["trees", "heritage", folder, "--json", "-", "--svg", "-"]);
  t.is(both.code, 2);
  t.regex(both.stderr, /only one of --json, --dot and --svg can go to standard output/);
});

test("a chain of ten thousand models is walked", (t) => {
  const count = 10_000;
  const edges = Array.from({ length: count - 1 }, (_, parent) => ({ parent, child: parent + 1, distance: 1 }));
  const rows = walkHeritage({ root: 0, edges });
  t.is(rows.at(-1)?.depth, count - 1);
  t.is(rows[0]?.descendants, count - 1);
});
