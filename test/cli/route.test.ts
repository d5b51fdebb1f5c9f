import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Random } from "../../src/linalg/random.js";
import { encodeSafetensors, float32Bytes } from "../../src/weights/safetensors-writer.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { createTestTree, type LayerWeights, toFreshWeights } from "../helpers/tree-models.js";
import { oneBackend, runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

const shape = { rowCount: 200, columnCount: 40 };
const random = new Random(3);
const trees = ["lion", "tiger"].map((name) => createTestTree(name, toFreshWeights(shape, random), 0.1));

async function writeModel(path: string, values: LayerWeights): Promise<void> {
  const bytes = float32Bytes(values);
  await writeFile(path, encodeSafetensors([{ name: "m.fc.weight", dtype: "F32", shape: [200, 40], bytes }]));
}

/** Two experts, models to calibrate each on, and three to route: one of each tree and one of none. */
async function prepare(t: ExecutionContext): Promise<string> {
  const cwd = await createTemporaryFolder(t);
  for (const [index, { name, grow }] of trees.entries()) {
    await writeExpert(join(cwd, "experts", name), createExpertParameters({ rows: 200, columns: 40, seed: index }));
    await mkdir(join(cwd, name), { recursive: true });
    for (let model = 0; model < 12; model++) await writeModel(join(cwd, name, `${model}.safetensors`), grow(random));
  }
  await mkdir(join(cwd, "new"));
  for (const { name, grow } of trees) await writeModel(join(cwd, "new", `${name}.safetensors`), grow(random));
  await writeModel(join(cwd, "new", "zebra.safetensors"), toFreshWeights(shape, random));
  return cwd;
}

test("experts are calibrated, and then models are routed and embedded without naming one", async (t) => {
  const cwd = await prepare(t);
  const local = ["--local", "--experts", "./experts"];
  const before = await runInFolder(cwd, ["route", "./new", ...local]);
  t.is(before.code, 1);
  t.regex(before.stdout, /tiger\.safetensors +undecided/);
  for (const { name } of trees) {
    const words = ["experts", "calibrate", `./experts/${name}`, `./${name}`, "--tree", `${name}s`];
    const { code, stdout } = await runInFolder(cwd, words);
    t.is(code, 0);
    t.regex(
      stdout,
      new RegExp(
        `^tree "${name}s", measured on 12 models: half of their layers are within \\d+\\.\\d% .* accepts \\d+\\.\\d%$`,
        "m",
      ),
    );
  }
  const routed = await runCli(["route", "new", "--local"], { cwd });
  t.is(routed.code, 1);
  t.regex(routed.stdout, /lion\.safetensors +lion +lions +[\d.]+ +[\d.]+ +tigers at [\d.]+ +1\.6 kB/);
  t.regex(routed.stdout, /tiger\.safetensors +tiger +tigers/);
  t.regex(routed.stdout, /zebra\.safetensors +none +not (lions|tigers)/);

  const embedded = await runInFolder(cwd, ["embed", "./new", ...local, "--json", ...oneBackend]);
  t.is(embedded.code, 1);
  const lines = embedded.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.deepEqual(lines.map(({ file, expert, tree, error }) => [file, expert ?? error.reason, tree?.tree]).sort(), [
    ["new/lion.safetensors", "lion", "lions"],
    ["new/tiger.safetensors", "tiger", "tigers"],
    ["new/zebra.safetensors", "NO_EXPERT", undefined],
  ]);
  const byName = ["embed", "./new/zebra.safetensors", "--expert", "lion"];
  const named = await runInFolder(cwd, [...byName, ...local, ...oneBackend]);
  t.is(named.code, 0);
  t.regex(named.stdout, /\(not of tree lions: distance [\d.]+, it accepts [\d.]+\)/);
});
