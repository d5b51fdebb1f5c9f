import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { backendNames } from "../../src/compute/create-backend.js";
import { defaultRetrievalLimits } from "../../src/retrieval/limits.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { maxMessageBytes } from "../../src/rpc/server.js";
import { version } from "../../src/rpc/version.js";
import type { PlanRequest } from "../../src/search/embed-port.js";
import { defaultLimits } from "../../src/search/limits.js";
import type { TensorInfo } from "../../src/weights/layer.js";
import { assertError } from "../helpers/assert-refused.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";

const specs: readonly TestExpertSpec[] = [
  { name: "a", module: "m.fc", shape: [9, 7] },
  { name: "b", module: "m.lora", kind: "lora", loraScale: "apply", shape: [9, 7], objective: "classification" },
  { name: "c", module: "m.qkv", layout: "transposed", shape: [9, 7], slice: [9, 18] },
];

async function start(
  t: ExecutionContext,
  options: Parameters<typeof startTestServer>[1] = {},
): Promise<{ server: TestServer; client: ProbestreamClient }> {
  const server = await startTestServer(specs, { backend: "plain", ...options });
  const client = connect({ target: server.target });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  return { server, client };
}

test("the client lists a server's experts in the words of the catalogue", async (t) => {
  const { server, client } = await start(t);
  await mkdir(join(server.catalogue, "broken"));
  await writeFile(join(server.catalogue, "broken", "expert.json"), "{}");
  const { experts, unusable } = await client.listExperts();
  const here = await server.embedder.catalogue.list();
  t.deepEqual(
    experts.map(({ residentBytes: _, ...expert }) => expert),
    here.experts.map(({ folder: _, labelCount: __, parameterBytes: ___, extra: ____, ...expert }) => expert),
  );
  t.deepEqual(
    unusable.map(({ name, error: { kind, reason } }) => [name, kind, reason]),
    [["broken", "invalid-input", "HEADER_MALFORMED"]],
  );
});

test("an expert's announced bytes are those that the memory plan reserves for it", async (t) => {
  const { server, client } = await start(t);
  const { experts } = await client.listExperts();
  const tensors = new Map([["m.fc.weight", { name: "m.fc.weight", dtype: "F32", shape: [9, 7] }]]);
  const request = { modelId: "", uploadId: "", tensors, metadata: new Map(), experts: [] };
  const [plan] = await client.plan([request]);
  if (plan === undefined || plan instanceof Error) throw plan ?? new Error("no plan");
  const stream = await client.open();
  await stream.header("", plan);
  await stream.chunk(0, 0, new Uint8Array(9 * 7 * 4));
  await stream.footer(9 * 7 * 4, new Uint8Array(0));
  t.false((await stream.finish()).results[0]?.outcome instanceof Error);
  const { expertBytes } = server.embedder.memory;
  t.true(expertBytes > 0);
  t.like(experts[0], { name: "a", residentBytes: expertBytes });
});

/** A model of many more tensors than a server takes, those named last. */
function largeRequest(modelId: string, count: number, ...layer: readonly TensorInfo[]): PlanRequest {
  const tensors = new Map<string, TensorInfo>();
  for (let i = 0; i < count; i++) {
    const name = `model.layers.${Math.floor(i / 1536)}.mlp.experts.${i % 1536}.down_proj.weight_scale_inv`;
    tensors.set(name, { name, dtype: "F32", shape: [56, 16] });
  }
  for (const tensor of layer) tensors.set(tensor.name, tensor);
  return { modelId, uploadId: "", tensors, metadata: new Map(), experts: [] };
}

const layer = { name: "m.fc.weight", dtype: "F8_E4M3", shape: [9, 7] };
const scale = { name: "m.fc.weight_scale", dtype: "F32", shape: [1] };

test("a model of 90,000 tensors is planned by those that an expert may read, in its place among others", async (t) => {
  const { client } = await start(t);
  const plans = await client.plan([
    largeRequest("small", 3, layer),
    largeRequest("large", 90_000, layer, scale),
    largeRequest("foreign", 90_000),
    largeRequest("named", 90_000, layer, { ...layer, name: "m.qkv", shape: [7, 27] }),
    { ...largeRequest("with the other named", 90_000, layer), experts: ["c"] },
  ]);
  const [small, large, foreign, ambiguous, other] = plans;
  if (small === undefined || small instanceof Error) throw small ?? new Error("no plan");
  if (large === undefined || large instanceof Error) throw large ?? new Error("no plan");
  t.deepEqual(
    small.tensors.map(({ tensor }) => tensor.name),
    ["m.fc.weight"],
  );
  t.deepEqual(
    large.tensors.map(({ tensor }) => tensor.name),
    ["m.fc.weight_scale", "m.fc.weight"],
  );
  assertError(t, foreign, {
    kind: "not-found",
    reason: "LAYER_NOT_FOUND",
    message: `none of the 90000 tensors of "foreign" belongs to a layer that the server's experts read: m.fc, m.lora, m.qkv`,
  });
  assertError(t, ambiguous, { reason: "EXPERT_AMBIGUOUS", message: /^2 experts fit the model: a .*, c / });
  assertError(t, other, { reason: "LAYER_NOT_FOUND", message: /experts read: m\.qkv$/ });
});

test("a server's own limit of tensors holds, and a long training log is left out of a plan", async (t) => {
  const { server, client } = await start(t, { limits: { maxManifestTensors: 10 } });
  t.is(server.embedder.limits.maxManifestTensors, 10);
  const metadata = new Map([["ss_tag_frequency", "x".repeat(5 * 1024 * 1024)]]);
  const requests = [largeRequest("many", 10, layer), { ...largeRequest("long", 1, layer), metadata }];
  for (const plan of await client.plan(requests)) t.false(plan instanceof Error, String(plan));
});

test("a plan whose signal is aborted asks for nothing", async (t) => {
  const { client } = await start(t);
  await t.throwsAsync(client.plan([largeRequest("a", 1, layer)], AbortSignal.abort(new Error("enough"))), {
    message: "enough",
  });
});

test("the client says what a server is and what it allows, in plain numbers", async (t) => {
  const { server, client } = await start(t);
  const info = await client.serverInfo();
  const { memory } = server.embedder;
  t.is(info.version, version);
  t.is(info.processCount, 1);
  const { batchesAtOnce: _, maxWaitingBatches: __, ...retrievalLimits } = defaultRetrievalLimits;
  t.deepEqual(info.limits, {
    ...defaultLimits,
    ...retrievalLimits,
    segmentBytes: 8 * 1024 * 1024,
    maxMessageBytes,
  });
  t.deepEqual([info.store, info.textEncoders], ["", []]);
  t.deepEqual(info.memory, {
    ...memory.stream,
    budgetBytes: memory.budgetBytes,
    reservedBytes: 0,
    expertBytes: 0,
    connectionBytes: 0,
    streamBytes: memory.streamBytes,
    openStreams: 0,
    uploadStateBytes: server.embedder.uploadStateBytes,
    workerCount: 1,
    runtimeBytes: memory.runtimeBytes,
  });
  const [own, ...others] = info.backends;
  t.like(own, { name: server.embedder.backend.name, device: server.embedder.backend.device, available: true });
  t.deepEqual(others.map(({ name }) => name).sort(), backendNames.filter((name) => name !== own?.name).sort());
  for (const { available, unavailableReason } of others) t.is(available, unavailableReason === "");
});
