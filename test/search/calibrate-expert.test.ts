import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { loadExpert } from "../../src/experts/expert.js";
import { Random } from "../../src/linalg/random.js";
import { calibrateExpert } from "../../src/search/calibrate-expert.js";
import { encodeSafetensors, float32Bytes } from "../../src/weights/safetensors-writer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { embedModel, startTestEmbedder } from "../helpers/embed-client.js";
import { createExpertParameters, toTensor, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const [rows, columns, rank] = [24, 20, 3];

/** LoRA factors whose rows and columns lie near a few directions that a tree's models share. */
function createLoraTree(seed: number): (random: Random) => { down: Float32Array; up: Float32Array } {
  const shared = new Random(seed);
  const [a, b] = [shared.spread(rank * columns, 1), shared.spread(rows * rank, 1)];
  const near = (base: Float32Array, random: Random): Float32Array => {
    const change = random.spread(base.length, 0.25);
    return base.map((value, i) => value + (change[i] as number));
  };
  return (random) => ({ down: near(a, random), up: near(b, random) });
}

function toTensors({ down, up }: { down: Float32Array; up: Float32Array }) {
  return [
    toTensor("m.fc.lora_A.weight", { rows: rank, columns, values: down }),
    toTensor("m.fc.lora_B.weight", { rows, columns: rank, values: up }),
  ];
}

test("calibrated on files, LoRA experts are chosen by where layers move their base, and refuse what is of neither", async (t) => {
  const root = await createTemporaryFolder(t);
  const random = new Random(12);
  const trees = [createLoraTree(1), createLoraTree(2)];
  for (const [index, grow] of trees.entries()) {
    const name = `tree-${index}`;
    const folder = await writeExpert(join(root, name), createExpertParameters({ rows, columns, seed: 3 + index }), {
      kind: "lora",
    });
    const before = await loadExpert(folder);
    const models = join(root, ".models", name);
    await mkdir(models, { recursive: true });
    const paths = Array.from({ length: 60 }, (_, model) => join(models, `${model}.safetensors`));
    for (const path of paths) await writeFile(path, encodeSafetensors(toTensors(grow(random))));
    const broken = join(models, "broken.safetensors");
    await writeFile(broken, "no weights");
    const unusable: string[] = [];
    const tree = await calibrateExpert(folder, [...paths, broken], { name, onUnusable: (path) => unusable.push(path) });
    t.deepEqual(unusable, [broken]);
    t.is(tree.models, 60);
    t.is(tree.centroid, undefined);
    t.is((await loadExpert(folder)).expert.spaceId, before.expert.spaceId);
    t.is(JSON.parse(await readFile(join(folder, "expert.json"), "utf8")).tree.name, name);
  }
  const embedder = await startTestEmbedder(t, root);
  let right = 0;
  for (let model = 0; model < 20; model++) {
    const own = model % 2;
    const outcome = await embedModel(embedder, {
      modelId: "",
      tensors: toTensors((trees[own] as (typeof trees)[number])(random)),
      experts: [],
    }).catch(() => undefined);
    const [embedding] = outcome?.embeddings ?? [];
    if (embedding?.expert.name === `tree-${own}`) right++;
    if (embedding !== undefined) t.is(embedding.tree?.basis, "moments");
  }
  t.true(right >= 18, `${right} of 20`);
  const foreign = toTensors({ down: random.spread(rank * columns, 9), up: random.spread(rows * rank, 9) });
  await assertRefused(t, () => embedModel(embedder, { modelId: "", tensors: foreign, experts: [] }), {
    reason: "NO_EXPERT",
    message: /nearest tree is "tree-\d"/,
  });
});

test("too few models make no tree", async (t) => {
  const root = await createTemporaryFolder(t);
  const folder = await writeExpert(join(root, "expert"), createExpertParameters({ rows, columns }));
  const path = join(root, "model.safetensors");
  await writeFile(
    path,
    encodeSafetensors([
      {
        name: "m.fc.weight",
        dtype: "F32",
        shape: [rows, columns],
        bytes: float32Bytes(new Float32Array(rows * columns)),
      },
    ]),
  );
  await assertRefused(t, () => calibrateExpert(folder, [path], { name: "tree" }), {
    reason: "FIELD_INVALID",
    message: "1 of 1 models can be read by the expert; a tree is measured on at least 10",
  });
});
