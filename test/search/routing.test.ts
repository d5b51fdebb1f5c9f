import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { freshForMs } from "../../src/experts/catalogue.js";
import { describeExpert } from "../../src/experts/expert.js";
import { Random } from "../../src/linalg/random.js";
import { writeTree } from "../../src/search/calibrate-expert.js";
import { embedFiles } from "../../src/search/embed-files.js";
import type { ModelEmbedding } from "../../src/search/embed-stream.js";
import { createLocalPort } from "../../src/search/local-port.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { readTree } from "../../src/trees/tree-file.js";
import { encodeSafetensors, float32Bytes } from "../../src/weights/safetensors-writer.js";
import { afterAll } from "../helpers/after-all.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import {
  embedModel,
  planTestModel,
  sendChunks,
  sendModel,
  startTestEmbedder,
  type TestModel,
  toEmbedding,
} from "../helpers/embed-client.js";
import { createExpertParameters, toTensor, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { createTestTree, type LayerWeights, toFreshWeights, writeTreeExperts } from "../helpers/tree-models.js";

const shape = { rowCount: 300, columnCount: 120 };

function toModel(values: LayerWeights, { rowCount: rows, columnCount: columns } = shape, uploadId = ""): TestModel {
  return { modelId: "model", tensors: [toTensor("m.fc.weight", { rows, columns, values })], experts: [], uploadId };
}

const basesOf = new Random(1);
const trees = ["first", "second", "third"].map((name) => createTestTree(name, toFreshWeights(shape, basesOf), 0.1));
const change = basesOf.spread(300 * 120, 0.2);
const second = trees[1]?.base ?? new Float32Array(0);
const inner = createTestTree(
  "inner",
  second.map((value, i) => value + (change[i] as number)),
  0.1,
);

const shared = afterAll(test);
/** Has three trees, and one inside the second. */
let embedder: Embedder;

test.before(async () => {
  const root = await createTemporaryFolder(shared);
  await writeTreeExperts(root, shape, [...trees, { ...inner, parent: "second" }]);
  embedder = await startTestEmbedder(shared, root);
});

test("a model that names no expert goes to the one of its tree", async (t) => {
  const random = new Random(2);
  for (const { name, grow } of [...trees, inner]) {
    const weights = grow(random);
    const { embeddings } = await embedModel(embedder, toModel(weights));
    t.is(embeddings.length, 1);
    const [routed] = embeddings;
    t.is(routed?.expert.name, name);
    const { tree } = routed ?? {};
    t.is(tree?.tree, name);
    t.is(tree?.parent, name === "inner" ? "second" : undefined);
    t.true(tree?.isAccepted);
    t.true((tree?.distance ?? 0) < (tree?.next?.distance ?? 0));
    const named = await embedModel(embedder, { ...toModel(weights), experts: [name] });
    t.deepEqual(named.embeddings[0]?.representation, routed?.representation);
    t.is(named.embeddings[0]?.tree?.distance, tree?.distance);
  }
});

test("the choice is made early, and how chunks are cut changes nothing", async (t) => {
  const random = new Random(3);
  const model = toModel(trees[0]?.grow(random) ?? second);
  const results: ModelEmbedding["embeddings"][number][] = [];
  for (const chunkBytes of [333, 4096, 1024 * 1024]) {
    const stream = embedder.openStream();
    await sendModel(stream, await planTestModel(embedder, model), { chunkBytes });
    const [outcome] = await stream.finish();
    results.push(...toEmbedding(outcome).embeddings);
  }
  t.is(results[0]?.expert.name, "first");
  for (const result of results) {
    t.is(result?.tree?.decidedBytes, results[0]?.tree?.decidedBytes);
    const error = result?.representation.map((value, i) => value - (results[0]?.representation[i] as number));
    t.true(error?.every((value) => Math.abs(value) < 1e-4));
  }
  t.true((results[0]?.tree?.decidedBytes ?? Number.POSITIVE_INFINITY) <= 4 * 120 * 300 * 0.05);
});

test("a model of no tree is refused with the nearest, unless an expert is named", async (t) => {
  const random = new Random(4);
  const model = toModel(toFreshWeights(shape, random));
  await assertRefused(t, () => embedModel(embedder, model), {
    kind: "not-found",
    reason: "NO_EXPERT",
    message: /^no expert serves the model: the nearest tree is "\w+" at a distance of \d+.*, and it accepts up to \d+/,
  });
  const { embeddings } = await embedModel(embedder, { ...model, experts: ["third"] });
  t.false(embeddings[0]?.tree?.isAccepted);
  t.is(embeddings[0]?.tree?.tree, "third");
});

test("a tree that is measured while its expert serves counts from the next model on", async (t) => {
  const random = new Random(5);
  const root = await createTemporaryFolder(t);
  const folder = await writeExpert(join(root, "late"), createExpertParameters({ rows: 300, columns: 120 }));
  const embedder = await startTestEmbedder(t, root, { backend: "plain" });
  const before = await embedModel(embedder, toModel(second));
  t.is(before.embeddings[0]?.tree, undefined);
  const [first] = trees as [(typeof trees)[number]];
  await writeTreeExperts(join(root, ".other"), shape, [first]);
  const { extra } = await describeExpert(join(root, ".other", "first"));
  const tree = await readTree(join(root, ".other", "first"), extra);
  if (tree === undefined) return t.fail();
  await writeTree(folder, tree);
  await new Promise((resolve) => setTimeout(resolve, freshForMs + 100));
  await assertRefused(t, () => embedModel(embedder, toModel(second)), { reason: "NO_EXPERT", message: /"first"/ });
  const after = await embedModel(embedder, toModel(first.grow(random)));
  t.true(after.embeddings[0]?.tree?.isAccepted);
});

test("one calibrated expert alone refuses models of other trees, too", async (t) => {
  const random = new Random(6);
  const root = await createTemporaryFolder(t);
  await writeTreeExperts(root, shape, trees.slice(0, 1));
  const embedder = await startTestEmbedder(t, root, { backend: "plain" });
  const { embeddings } = await embedModel(embedder, toModel(trees[0]?.grow(random) ?? second));
  t.is(embeddings[0]?.expert.name, "first");
  t.is(embeddings[0]?.tree?.next, undefined);
  await assertRefused(t, () => embedModel(embedder, toModel(second)), { reason: "NO_EXPERT", message: /"first"/ });
});

/** Two trees that differ by 0.05 in the first tenth of the rows, where their models hardly move, and by far more below. */
function createMisleadingTrees(): {
  a: LayerWeights;
  b: LayerWeights;
  grow: (base: LayerWeights) => (random: Random) => LayerWeights;
} {
  const seeded = new Random(77);
  const a = toFreshWeights(shape, seeded);
  const upper = a.length / 10;
  const b = a.map((value, i) => value + (i < upper ? 0.05 : 1) * (seeded.next() - 0.5));
  const grow =
    (base: LayerWeights) =>
    (source: Random): LayerWeights =>
      base.map((value, i) => value + (i < upper ? 0.01 : 0.15) * (source.next() - 0.5));
  return { a, b, grow };
}

test("a model whose first rows mislead is sent to the right expert", async (t) => {
  const random = new Random(7);
  const root = await createTemporaryFolder(t);
  const { a, b, grow } = createMisleadingTrees();
  await writeTreeExperts(root, shape, [
    { name: "a", grow: grow(a) },
    { name: "b", grow: grow(b) },
  ]);
  const embedder = await startTestEmbedder(t, root, { backend: "plain" });
  const misleading = grow(b)(random);
  misleading.set(grow(a)(random).subarray(0, a.length / 10));
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, toModel(misleading)));
  const [{ outcome } = { outcome: undefined }] = await stream.finish();
  const spaceId = (await embedder.catalogue.get("b")).spaceId;
  assertError(t, outcome, {
    kind: "aborted",
    reason: "REROUTED",
    message: new RegExp(`led away from the tree "b", which it belongs to.*${spaceId}`),
  });

  // A client does by itself what the error says.
  const path = join(root, "misleading.safetensors");
  const bytes = encodeSafetensors([
    { name: "m.fc.weight", dtype: "F32", shape: [300, 120], bytes: float32Bytes(misleading) },
  ]);
  await writeFile(path, bytes);
  const outcomes = [];
  for await (const file of embedFiles([path], createLocalPort(embedder))) outcomes.push(file.outcome);
  const [result] = outcomes;
  if (result === undefined || result instanceof Error) return t.fail(String(result));
  t.is(result.embeddings[0]?.expertName, "b");
});

const large = { rowCount: 2600, columnCount: 2048 };

/** What a test tree of this base grows, in half the time: of millions of numbers that counts. */
function growLarge(base: LayerWeights): (source: Random) => LayerWeights {
  return (source) => {
    const weights = new Float32Array(source.spread(base.length, 0.05 * (0.5 + source.next())));
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) + (base[i] as number);
    return weights;
  };
}

/** Sends a model until after its second segment, gives up, and sends the rest under the same id. */
async function sendInTwo(t: ExecutionContext, embedder: Embedder, model: TestModel): Promise<string | undefined> {
  const first = embedder.openStream();
  const planned = await planTestModel(embedder, model);
  await first.header(planned.header);
  await sendChunks(
    first,
    { ...planned, ranges: planned.ranges.map((range) => range.subarray(0, 18 * 1024 * 1024)) },
    1_000_003,
  );
  await first.finish();
  const again = await planTestModel(embedder, model);
  t.true((again.header.startOffsets[0] ?? 0) > 0);
  const stream = embedder.openStream();
  await sendModel(stream, again);
  const [outcome] = await stream.finish();
  const [embedding] = toEmbedding(outcome).embeddings;
  const named = await embedModel(embedder, { ...model, experts: [embedding?.expert.name ?? ""], uploadId: "" });
  const error = embedding?.representation.map((value, i) => value - (named.embeddings[0]?.representation[i] as number));
  const norm = Math.hypot(...(named.embeddings[0]?.representation ?? []));
  t.true(Math.hypot(...(error ?? [])) < 1e-5 * norm);
  return embedding?.expert.name;
}

test("an upload that is cut goes on, whether or not the choice was made by then", async (t) => {
  const random = new Random(8);
  const root = await createTemporaryFolder(t);
  const base = toFreshWeights(large, random);
  const other = toFreshWeights(large, random);
  // Alike up to nine tenths: nothing can be decided before.
  const twin = base.map((value, i) => (i < 0.9 * base.length ? value : -value));
  const grown = [
    { name: "base", grow: growLarge(base) },
    { name: "other", grow: growLarge(other) },
    { name: "twin", grow: growLarge(twin) },
  ];
  await writeTreeExperts(root, large, grown, 4);
  const embedder = await startTestEmbedder(t, root);
  for (const [index, { name, grow }] of grown.entries()) {
    t.is(await sendInTwo(t, embedder, toModel(grow(random), large, `resume-a-routed-upload-${index}`)), name);
  }
});
