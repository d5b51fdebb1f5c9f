import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { status } from "@grpc/grpc-js";
import { startChild } from "../../bench/child-process.js";
import { readProcessMemory } from "../../bench/process-stats.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { firstLine } from "../helpers/first-line.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { toChunk, toChunks, toFooter, toHeader, toModel } from "../helpers/rpc-messages.js";
import { startTestServer } from "../helpers/rpc-server.js";
import { finishZeros, largeManifest, mib, reasonOf, small, smallBytes, smallManifest } from "../helpers/rpc-uploads.js";
import { createUploadsTest } from "../helpers/uploads-test.js";

const test = createUploadsTest();

test.serial("streams beyond the memory budget are refused with the figures, and admitted again later", async (t) => {
  const budget = 32 * mib;
  const server = await startTestServer([small], { backend: "plain", memoryBudgetBytes: budget });
  const client = openRawClient(server.target);
  try {
    const { memoryPlan } = await client.serverInfo();
    const streamBytes = Number(memoryPlan?.streamBytes);
    t.true(streamBytes < budget && 2 * streamBytes > budget, `${streamBytes}`);
    const planned = await client.planOne(smallManifest);
    const open = client.openUpload();
    await open.write(toHeader(planned));
    while ((await client.serverInfo()).memoryPlan?.expertBytes === 0n) await sleep(10);
    const { failure } = await client.upload(
      toModel(planned, [smallBytes], { header: { uploadId: "one-too-many-streams" } }),
    );
    t.is(failure?.code, status.RESOURCE_EXHAUSTED);
    t.is(failure?.info?.reason, "MEMORY_BUDGET");
    const { needed = "", reserved = "", experts = "" } = failure?.info?.metadata ?? {};
    t.deepEqual(failure?.info?.metadata, { needed, reserved, experts, budget: String(budget), streams: "1" });
    t.is(Number(needed), streamBytes);
    t.is(
      failure?.message,
      `one more stream needs ${streamBytes} bytes; ${reserved} of ${budget} are taken (${experts} by experts, 1 streams at ${streamBytes} each). Try again later, or start the server with a larger --memory-budget`,
    );
    await open.write(toChunk(0, 0, smallBytes));
    await open.write(toFooter(120));
    open.end();
    t.is(reasonOf((await open.answer).response), "embedding");
    const { response } = await client.upload(toModel(planned, [smallBytes]));
    t.is(reasonOf(response), "embedding");
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("an expert that does not fit into the budget fails its model with the figures", async (t) => {
  const server = await startTestServer([{ ...small, name: "fat", shape: [1_000_000, 5], module: "fat" }], {
    backend: "plain",
    memoryBudgetBytes: 36 * mib,
  });
  const client = openRawClient(server.target);
  try {
    const tensors = [{ name: "fat.weight", dtype: Dtype.F32, shape: [1_000_000n, 5n] }];
    const { response } = await client.upload([
      toHeader(await client.planOne({ tensors })),
      ...toChunks(0, new Uint8Array(4), 4),
    ]);
    const [result] = response?.results ?? [];
    t.is(reasonOf(response), "MEMORY_BUDGET");
    const error = result?.outcome.case === "error" ? result.outcome.value : undefined;
    t.is(error?.code, status.RESOURCE_EXHAUSTED);
    t.regex(
      error?.message ?? "",
      /^loading the expert "fat" needs \d+ bytes; \d+ of 37748736 are taken \(0 by experts, 1 streams/,
    );
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("a backend that is slower than the client holds the client back, not the memory", async (t) => {
  const program = fileURLToPath(new URL("../helpers/rpc-child-server.js", import.meta.url));
  const slow = new URL("../helpers/rpc-slow-backend.js", import.meta.url);
  const child = await startChild({ program: process.execPath, args: [program, t.context.server.catalogue, slow.href] });
  t.teardown(() => child.signal("SIGKILL"));
  const client = openRawClient(`127.0.0.1:${await firstLine(child)}`);
  t.teardown(() => client.close());
  const planned = await client.planOne(largeManifest);
  // One model first: loads the expert and whatever grows once.
  t.is(reasonOf(await finishZeros(client, planned)), "embedding");
  const { residentBytes: idle } = await readProcessMemory(child.pid);
  let peak = idle;
  for (let i = 0; i < 4; i++) {
    const done = finishZeros(client, await client.planOne(largeManifest));
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    while (!isDone) {
      peak = Math.max(peak, (await readProcessMemory(child.pid)).residentBytes);
      await sleep(20);
    }
    t.is(reasonOf(await done), "embedding");
  }
  const streamBytes = Number((await client.serverInfo()).memoryPlan?.streamBytes);
  t.log(
    `256 MiB: ${((peak - idle) / mib).toFixed(0)} MiB above idle, ${(streamBytes / mib).toFixed(0)} planned per stream`,
  );
  // What the garbage collector has not come round to is on top of the plan.
  t.true(peak - idle < streamBytes + 48 * mib, `${peak - idle}`);
});
