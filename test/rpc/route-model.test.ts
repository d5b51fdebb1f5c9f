import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { afterAll } from "../helpers/after-all.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { startTestServer } from "../helpers/rpc-server.js";
import { createTestTree, type LayerWeights, toFreshWeights, writeTreeExperts } from "../helpers/tree-models.js";

const shape = { rowCount: 400, columnCount: 96 };
const random = new Random(8);
const trees = ["lion", "tiger"].map((name) => createTestTree(name, toFreshWeights(shape, random), 0.1));
const rowBytes = 4 * shape.columnCount;

const shared = afterAll(test);
/** Of a server with both trees. */
let client: ProbestreamClient;

test.before(async () => {
  const server = await startTestServer([]);
  shared.teardown(() => server.close());
  await writeTreeExperts(server.catalogue, shape, trees);
  client = connect({ target: server.target });
  shared.teardown(() => client.close());
});

function ask(
  client: ProbestreamClient,
  prefix?: LayerWeights,
  hints: readonly string[] = [],
): ReturnType<ProbestreamClient["route"]> {
  const name = "m.fc.weight";
  return client.route({
    modelId: "model",
    uploadId: "",
    tensors: new Map([[name, { name, dtype: "F32", shape: [shape.rowCount, shape.columnCount] }]]),
    metadata: new Map(),
    experts: [],
    hints,
    prefixes: prefix === undefined ? new Map() : new Map([[name, float32Bytes(prefix)]]),
  });
}

test("a manifest alone gives candidates and says what to send", async (t) => {
  const answer = await ask(client, undefined, ["Tiger"]);
  t.is(answer.decision, "undecided");
  t.deepEqual(
    answer.candidates.map(({ expertName, isClaimed, isPossible, tree }) => [expertName, isClaimed, isPossible, tree]),
    [
      ["lion", false, true, undefined],
      ["tiger", true, true, undefined],
    ],
  );
  t.deepEqual(
    answer.tensors.map(({ tensor, beginByte, endByte }) => [tensor.name, beginByte, endByte]),
    [["m.fc.weight", 0, 400 * rowBytes]],
  );
  t.is(answer.prefixBytes, 20 * rowBytes);
});

test("a twentieth of a layer decides", async (t) => {
  for (const [index, { name, grow }] of trees.entries()) {
    const weights = grow(random);
    const answer = await ask(client, weights.subarray(0, 20 * shape.columnCount), ["lion"]);
    t.is(answer.decision, "routed");
    t.is(answer.candidates[0]?.expertName, name);
    t.true(answer.candidates[0]?.tree?.isAccepted);
    t.is(answer.candidates[1]?.expertName, trees[1 - index]?.name);
    t.false(answer.candidates[1]?.isPossible);
    // The estimate is near what the whole layer says.
    const whole = await ask(client, weights);
    const [early = 0, late = 1] = [answer, whole].map(({ candidates }) => candidates[0]?.tree?.distance);
    t.true(Math.abs(early - late) < 0.3 * late, `${early} and ${late}`);
  }
});

test("a model of no tree has no expert, and too few rows decide nothing", async (t) => {
  const weights = toFreshWeights(shape, random);
  t.is((await ask(client, weights.subarray(0, 20 * shape.columnCount))).decision, "no-expert");
  t.is((await ask(client, weights)).decision, "no-expert");
  t.is((await ask(client, weights.subarray(0, shape.columnCount / 2))).decision, "undecided");
});

test("an expert that was not calibrated is the only one's, or nobody's", async (t) => {
  const server = await startTestServer([{ name: "old", module: "m.fc", shape: [400, 96] }], { backend: "plain" });
  const client = connect({ target: server.target });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  const alone = await ask(client);
  t.is(alone.decision, "routed");
  t.deepEqual(alone.tensors, []);
  await writeTreeExperts(server.catalogue, shape, trees.slice(0, 1));
  await mkdir(join(server.catalogue, "later"));
  await writeFile(join(server.catalogue, "later", "expert.json"), "{}");
  await new Promise((resolve) => setTimeout(resolve, 1100));
  t.is((await ask(client)).decision, "undecided");
});

test("prefixes of other tensors and beyond the range are refused", async (t) => {
  const long = new Float32Array(shape.rowCount * shape.columnCount + 1);
  await assertRefused(t, () => ask(client, long), {
    reason: "TENSOR_OVERRUN",
    message: /has 153604 bytes, its range 153600/,
  });
  const name = "m.other.weight";
  const tensors = new Map(["m.fc.weight", name].map((each) => [each, { name: each, dtype: "F32", shape: [400, 96] }]));
  const request = { modelId: "", uploadId: "", tensors, metadata: new Map(), experts: [], hints: [] };
  await assertRefused(t, () => client.route({ ...request, prefixes: new Map([[name, new Uint8Array(4)]]) }), {
    reason: "FIELD_INVALID",
    message: /a prefix is of "m.other.weight", which is not wanted; wanted are "m.fc.weight"/,
  });
});
