import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type Catalogue, openCatalogue } from "../../src/experts/catalogue.js";
import { planEmbedding } from "../../src/search/plan-embedding.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { toManifest } from "../helpers/embed-client.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { smallExpert, smallModel } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const tensors = toManifest(smallModel(1).tensors);

async function open(
  t: ExecutionContext,
  experts: Readonly<Record<string, Parameters<typeof writeExpert>[2]>>,
): Promise<Catalogue> {
  const root = await createTemporaryFolder(t);
  for (const [i, [name, layer]] of Object.entries(experts).entries()) {
    const parameters = i === 0 ? smallExpert : createExpertParameters({ rows: 12, columns: 10, seed: 100 * i });
    await writeExpert(join(root, name), parameters, layer);
  }
  return openCatalogue(root);
}

test("the only expert that fits serves a model that names none", async (t) => {
  const catalogue = await open(t, { small: {}, elsewhere: { module: "m.absent" } });
  const plan = await planEmbedding({ tensors, experts: [] }, catalogue);
  t.deepEqual(
    plan.targets.map(({ expert }) => expert.name),
    ["small"],
  );
  t.deepEqual(
    plan.tensors.map(({ tensor, beginByte, endByte }) => [tensor.name, beginByte, endByte]),
    [["m.fc.weight", 0, 480]],
  );
  t.is(plan.totalBytes, 480);
});

test("several experts that fit are ambiguous", async (t) => {
  const catalogue = await open(t, { small: {}, twin: {} });
  await assertRefused(t, () => planEmbedding({ tensors, experts: [] }, catalogue), {
    kind: "precondition",
    reason: "EXPERT_AMBIGUOUS",
    message: /^2 experts fit the model: small \([0-9a-f]{12}\), twin \([0-9a-f]{12}\); name one of them/,
  });
});

test("a model that no expert fits is told what they read", async (t) => {
  const catalogue = await open(t, { one: { module: "m.a" }, two: { module: "m.b", kind: "lora" } });
  await assertRefused(t, () => planEmbedding({ tensors, experts: [] }, catalogue), {
    kind: "not-found",
    reason: "LAYER_NOT_FOUND",
    message:
      "none of the 2 experts finds its layer among the model's 2 tensors: one reads dense m.a [12, 10]; two reads lora m.b [12, 10]",
  });
  await assertRefused(t, async () => planEmbedding({ tensors, experts: [] }, await open(t, {})), {
    reason: "LAYER_NOT_FOUND",
    message: "the catalogue has no experts; put an expert folder into the --experts folder",
  });
});

test("a layer that is there in another shape says more than one that is not there", async (t) => {
  const catalogue = await open(t, { absent: { module: "m.a" }, other: { module: "m.other" } });
  await assertRefused(t, () => planEmbedding({ tensors, experts: [] }, catalogue), {
    reason: "SHAPE_MISMATCH",
    message: /"m\.other\.weight" has the shape \[2,2\].* \(for the expert "other"\)$/,
  });
});

test("an expert that is asked for twice is refused", async (t) => {
  const catalogue = await open(t, { small: {} });
  const { spaceId } = await catalogue.get("small");
  await assertRefused(t, () => planEmbedding({ tensors, experts: ["small", spaceId] }, catalogue), {
    kind: "invalid-input",
    reason: "DUPLICATE",
    message: `the expert small (${spaceId.slice(0, 12)}) is asked for twice`,
    facts: { expert: spaceId },
  });
});

test("experts that read the same bytes share them, and slices of one tensor are ranges of their own", async (t) => {
  const packed = new Map([["m.fc.weight", { name: "m.fc.weight", dtype: "F32", shape: [24, 10] }]]);
  const catalogue = await open(t, { a: { rows: [0, 12] }, b: { rows: [12, 24] }, c: { rows: [12, 24] } });
  const plan = await planEmbedding({ tensors: packed, experts: ["a", "b", "c"] }, catalogue);
  t.deepEqual(
    plan.tensors.map(({ beginByte, endByte }) => [beginByte, endByte]),
    [
      [0, 480],
      [480, 960],
    ],
  );
  t.deepEqual(
    plan.targets.map(({ uses }) => uses.map(({ tensorIndex, matrix }) => [tensorIndex, matrix.firstRow])),
    [[[0, 0]], [[1, 12]], [[1, 12]]],
  );
});

test("the fingerprint tells experts, element types and shapes apart, and nothing else of a file", async (t) => {
  const catalogue = await open(t, { small: {}, twin: {} });
  const fingerprint = async (change: typeof tensors, expert: string): Promise<string> =>
    (await planEmbedding({ tensors: change, experts: [expert] }, catalogue)).fingerprint;
  const plain = await fingerprint(tensors, "small");
  const more = new Map([...tensors, ["m.more", { name: "m.more", dtype: "F32", shape: [1] }]]);
  t.is(await fingerprint(more, "small"), plain);
  t.not(await fingerprint(tensors, "twin"), plain);
  const half = new Map([...tensors, ["m.fc.weight", { name: "m.fc.weight", dtype: "F16", shape: [12, 10] }]]);
  t.not(await fingerprint(half, "small"), plain);
});
