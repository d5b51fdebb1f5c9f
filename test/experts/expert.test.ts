import { rm, truncate, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import test from "ava";
import { describeExpert, loadExpert, loadExpertHead } from "../../src/experts/expert.js";
import { maxManifestBytes } from "../../src/experts/expert-manifest.js";
import { encodeSafetensors } from "../../src/weights/safetensors-writer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createExpertParameters, encoderDigest, toStateDict, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const parameters = createExpertParameters({ rows: 9, columns: 7 });
const text = { encoder: encoderDigest("a"), prompt: "a photo of a {}" };

test("an expert folder gives its sizes, its layer and its labels", async (t) => {
  const folder = await writeExpert(
    join(await createTemporaryFolder(t), "cats"),
    parameters,
    {},
    {
      text,
      labels: ["cat", "dog"],
    },
  );
  const { expert, checkpoint } = await loadExpert(folder);
  t.like(expert, {
    name: "cats",
    folder,
    objective: "zeroshot",
    architecture: { kind: "probex", probeCount: 4, projectionWidth: 3 },
    representationWidth: 6,
    textWidth: 5,
    labelCount: 0,
    labels: ["cat", "dog"],
    textEncoder: text.encoder,
    prompt: text.prompt,
    parameterBytes: 4 * (7 * 4 + 3 * 9 + 6 * 12 + 6 + 6 * 5 + 6),
  });
  t.regex(expert.spaceId, /^[0-9a-f]{64}$/);
  t.deepEqual(checkpoint.u, parameters.u);
  t.deepEqual(await describeExpert(folder), expert);
});

for (const objective of ["zeroshot", "classification"] as const) {
  test(`the head of a ${objective} expert can be loaded alone`, async (t) => {
    const folder = await writeExpert(
      join(await createTemporaryFolder(t), "one"),
      createExpertParameters({ rows: 9, columns: 7, objective }),
    );
    const { expert, checkpoint } = await loadExpert(folder);
    t.deepEqual(await loadExpertHead(folder), { expert, head: checkpoint.head });
  });
}

test("a classification expert counts its labels whether it names them or not", async (t) => {
  const classifier = createExpertParameters({ rows: 9, columns: 7, objective: "classification", headWidth: 3 });
  const root = await createTemporaryFolder(t);
  const named = await loadExpert(await writeExpert(join(root, "a"), classifier, {}, { labels: ["x", "y", "z"] }));
  const unnamed = await loadExpert(await writeExpert(join(root, "b"), classifier));
  for (const { expert } of [named, unnamed])
    t.like(expert, { labelCount: 3, textWidth: 0, textEncoder: "", prompt: "" });
});

const changes: readonly (readonly [
  title: string,
  layer: Parameters<typeof writeExpert>[2],
  manifest: Parameters<typeof writeExpert>[3],
])[] = [
  ["module", { module: "m.fc2" }, {}],
  ["kind", { kind: "lora" }, {}],
  ["layout", { layout: "transposed" }, {}],
  ["slice", { rows: [9, 18] }, {}],
  ["text encoder", {}, { text: { ...text, encoder: encoderDigest("b") } }],
  ["lack of a text encoder", {}, { text: undefined }],
];
for (const [title, layer, manifest] of changes) {
  test(`the space id changes with the ${title}`, async (t) => {
    const root = await createTemporaryFolder(t);
    const before = await loadExpert(await writeExpert(join(root, "a"), parameters, {}, { text }));
    const after = await loadExpert(await writeExpert(join(root, "b"), parameters, layer, { text, ...manifest }));
    t.not(after.expert.spaceId, before.expert.spaceId);
  });
}

test("the space id changes with a single weight", async (t) => {
  const root = await createTemporaryFolder(t);
  const before = await loadExpert(await writeExpert(join(root, "a"), parameters));
  const bias = parameters.head.bias.slice();
  bias[0] = (bias[0] as number) + 1e-3;
  const changed = { ...parameters, head: { ...parameters.head, bias } };
  const after = await loadExpert(await writeExpert(join(root, "b"), changed));
  t.not(after.expert.spaceId, before.expert.spaceId);
});

test("the space id changes with the scale rule of a LoRA expert, and not of a dense one, which has none", async (t) => {
  const root = await createTemporaryFolder(t);
  const idOf = async (name: string, kind: "dense" | "lora", loraScale: "none" | "apply"): Promise<string> =>
    (await loadExpert(await writeExpert(join(root, name), parameters, { kind, loraScale }))).expert.spaceId;
  t.not(await idOf("a", "lora", "none"), await idOf("b", "lora", "apply"));
  t.is(await idOf("c", "dense", "none"), await idOf("d", "dense", "apply"));
});

test("the space id stays with another prompt, labels, name, file name, metadata and time", async (t) => {
  const root = await createTemporaryFolder(t);
  const before = await loadExpert(await writeExpert(join(root, "a"), parameters, {}, { text, labels: ["cat"] }));
  const folder = await writeExpert(
    join(root, "b"),
    parameters,
    {},
    {
      text: { ...text, prompt: "{}" },
      labels: ["dog", "bird"],
      weights: "other.safetensors",
      tree: { root: "x" },
    },
  );
  await rm(join(folder, "expert.safetensors"));
  const path = join(folder, "other.safetensors");
  await writeFile(path, encodeSafetensors(toStateDict(parameters), { note: "new" }));
  await utimes(path, 1, 1);
  const after = await loadExpert(folder);
  t.is(after.expert.spaceId, before.expert.spaceId);
  t.is(after.expert.name, "b");
});

test("a folder without a manifest is no expert folder", async (t) => {
  const folder = await createTemporaryFolder(t);
  await assertRefused(t, () => loadExpert(folder), {
    kind: "not-found",
    reason: "EXPERT_NOT_FOUND",
    message: `${folder} is not an expert folder: it has no expert.json`,
  });
});

test("a manifest of more than 16 MiB is not read", async (t) => {
  const folder = await createTemporaryFolder(t);
  const path = join(folder, "expert.json");
  await writeFile(path, "");
  await truncate(path, maxManifestBytes + 1);
  await assertRefused(t, () => loadExpert(folder), {
    reason: "LIMIT_EXCEEDED",
    message: `${path} has 16777217 bytes; an expert manifest may have 16777216`,
    facts: { size: 16_777_217, limit: 16_777_216 },
  });
});

test("a shape that the weights do not have is refused", async (t) => {
  const folder = await writeExpert(join(await createTemporaryFolder(t), "a"), parameters, {}, { shape: [7, 9] });
  await assertRefused(t, () => loadExpert(folder), {
    reason: "SHAPE_MISMATCH",
    message: `${join(folder, "expert.json")} says shape [7, 9], the weights are for [9, 7] (columns of shared_probe_proj.weight, rows of probes.weight)`,
  });
});

test("labels of another number than the head's are refused", async (t) => {
  const classifier = createExpertParameters({ rows: 9, columns: 7, objective: "classification", headWidth: 3 });
  const folder = await writeExpert(join(await createTemporaryFolder(t), "a"), classifier, {}, { labels: ["x"] });
  await assertRefused(t, () => loadExpert(folder), {
    reason: "SHAPE_MISMATCH",
    message: `${join(folder, "expert.json")} names 1 labels, the classification head has 3`,
  });
});

test("weights that the manifest names and the folder lacks are not found", async (t) => {
  const folder = await writeExpert(join(await createTemporaryFolder(t), "a"), parameters);
  await rm(join(folder, "expert.safetensors"));
  await assertRefused(t, () => loadExpert(folder), { reason: "FILE_NOT_FOUND", message: /expert\.safetensors/ });
  t.is(basename(folder), "a");
});
