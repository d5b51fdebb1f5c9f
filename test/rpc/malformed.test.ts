import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { toHeldBytes } from "../helpers/held-bytes.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { startTestServer } from "../helpers/rpc-server.js";
import { expertRows } from "./malformed/expert-rows.js";
import { fileRows } from "./malformed/file-rows.js";
import { headerRows } from "./malformed/header-rows.js";
import { shape } from "./malformed/models.js";
import { planRows } from "./malformed/plan-rows.js";
import type { Context } from "./malformed/row.js";
import { weightRows } from "./malformed/weight-rows.js";

const test = anyTest as TestFn<Context>;

/** Small limits, so that passing them is cheap. */
const limits = {
  maxManifestTensors: 16,
  maxPlanModels: 8,
  maxStreamModels: 3,
  maxTextVectors: 10,
  maxChunkBytes: 4096,
};

test.before(async (t) => {
  const server = await startTestServer(
    [
      { name: "dense", module: "layer", shape, headWidth: 6 },
      { name: "classifier", module: "classified", shape, objective: "classification" },
      { name: "lora", module: "mod", kind: "lora", loraScale: "apply", shape },
      { name: "conv", module: "conv", layout: "conv", shape: [8, 4] },
      { name: "transposed", module: "gpt", layout: "transposed", shape },
      { name: "vector", module: "bias", layout: "vector", shape: [6, 1] },
      { name: "packed", module: "qkv", slice: [6, 12], shape },
      { name: "large", module: "large", shape: [2048, 1100] },
      { name: "twin-a", module: "twin", shape, seed: 10 },
      { name: "twin-b", module: "twin", shape, seed: 20 },
    ],
    { limits },
  );
  const folder = await mkdtemp(join(tmpdir(), "probestream-malformed-"));
  t.context = { server, client: openRawClient(server.target), folder };
});

test.after.always(async (t) => {
  t.context.client.close();
  await t.context.server.close();
  await rm(t.context.folder, { recursive: true, force: true });
});

const rows = [...planRows, ...expertRows, ...headerRows, ...weightRows, ...fileRows];

for (const { name, find, ...expected } of rows) {
  test(`it is refused: ${name}`, async (t) => {
    const { message, ...found } = await find(t.context);
    const { message: expectedMessage, ...kind } = expected;
    t.deepEqual(found, kind, message);
    if (typeof expectedMessage === "string") t.is(message, expectedMessage);
    else t.regex(message, expectedMessage);
  });
}

test("the table has at least 45 rows, each with a name of its own", (t) => {
  t.true(rows.length >= 45, `${rows.length}`);
  t.is(new Set(rows.map(({ name }) => name)).size, rows.length);
});

test.after("after all of it nothing is open, nothing but experts is reserved and no fault was reported", async (t) => {
  const { memoryPlan } = await t.context.client.serverInfo();
  t.is(memoryPlan?.openStreams, 0);
  t.is(toHeldBytes(memoryPlan), 0);
  t.deepEqual(t.context.server.faults, []);
});
