import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { maxMessageBytes, version } from "../../src/rpc/server.js";
import { defaultLimits } from "../../src/search/limits.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";

const specs: readonly TestExpertSpec[] = [
  { name: "a", module: "m.fc", shape: [9, 7] },
  { name: "b", module: "m.lora", kind: "lora", loraScale: "apply", shape: [9, 7], objective: "classification" },
  { name: "c", module: "m.qkv", layout: "transposed", shape: [9, 7], slice: [9, 18] },
];

async function start(t: ExecutionContext): Promise<{ server: TestServer; client: ProbestreamClient }> {
  const server = await startTestServer(specs, { backend: "plain" });
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
    here.experts.map(({ folder: _, labelCount: __, parameterBytes: ___, ...expert }) => expert),
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

test("the client says what a server is and what it allows, in plain numbers", async (t) => {
  const { server, client } = await start(t);
  const info = await client.serverInfo();
  const { memory } = server.embedder;
  t.is(info.version, version);
  t.is(info.processCount, 1);
  t.deepEqual(info.limits, { ...defaultLimits, segmentBytes: 8 * 1024 * 1024, maxMessageBytes });
  t.deepEqual(info.memory, {
    ...memory.stream,
    budgetBytes: memory.budgetBytes,
    reservedBytes: 0,
    expertBytes: 0,
    streamBytes: memory.streamBytes,
    openStreams: 0,
    uploadStateBytes: server.embedder.uploadStateBytes,
    workerCount: 1,
    runtimeBytes: memory.runtimeBytes,
  });
  t.deepEqual(
    info.backends.map(({ name, available, unavailableReason }) => [name, available, unavailableReason]),
    [
      ["plain", true, ""],
      ["onnx", true, ""],
    ],
  );
  t.deepEqual(
    info.backends.map(({ device }) => device !== ""),
    [true, false],
  );
});
