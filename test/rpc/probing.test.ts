import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import type { Matrix } from "../../src/compute/compute-backend.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { embedFiles } from "../../src/search/embed-files.js";
import type { EmbedPort } from "../../src/search/embed-port.js";
import { createProbingPort } from "../../src/search/probing/create-probing-port.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { assertError } from "../helpers/assert-refused.js";
import { countRuns, startByteTap } from "../helpers/byte-tap.js";
import { toTensor } from "../helpers/expert-folder.js";
import { goldenNames, readGoldenCase, writeGoldenExpert, writeGoldenModels } from "../helpers/golden.js";
import { relativeError } from "../helpers/oracle.js";
import { embedAll, openProbingPort, tolerance, toResult, writeModel } from "../helpers/probing.js";
import { randomMatrix, randomValues } from "../helpers/random.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

interface Context {
  server: TestServer;
  client: ProbestreamClient;
  /** Projects here. */
  port: EmbedPort;
  cacheFolder: string;
}

const test = anyTest as TestFn<Context>;

const experts: readonly TestExpertSpec[] = [
  { name: "linear", module: "linear", shape: [70, 60] },
  { name: "slice", module: "packed", shape: [20, 60], slice: [20, 40] },
  { name: "transposed", module: "turned", layout: "transposed", shape: [70, 60] },
  { name: "turned slice", module: "turned", layout: "transposed", shape: [30, 60], slice: [10, 40] },
  { name: "conv", module: "conv", layout: "conv", shape: [27, 8] },
  { name: "vector", module: "bias", layout: "vector", shape: [70, 1] },
  { name: "labels", module: "linear", shape: [70, 60], objective: "classification", headWidth: 4, seed: 9 },
  { name: "scaled", module: "quantised", shape: [70, 60] },
  { name: "narrow", module: "narrow", shape: [70, 60] },
  { name: "lora", module: "adapter", kind: "lora", shape: [70, 60] },
  { name: "lora applied", module: "adapter", kind: "lora", loraScale: "apply", shape: [70, 60] },
  { name: "lora of a config", module: "plain", kind: "lora", loraScale: "apply", shape: [70, 60], seed: 3 },
  { name: "tall", module: "tall", shape: [4096, 512], probeCount: 16, projectionWidth: 8 },
];

test.before(async (t) => {
  const server = await startTestServer(experts, { store: createMemoryStore(), backend: "onnx" });
  for (const name of goldenNames) await writeGoldenExpert(await readGoldenCase(name), server.catalogue);
  const client = connect({ target: server.target });
  const cacheFolder = await mkdtemp(join(tmpdir(), "probestream-probes-"));
  const port = await createProbingPort(client, { cacheFolder, backend: "onnx", workerCount: 1 });
  t.context = { server, client, port, cacheFolder };
});

test.after.always(async (t) => {
  t.deepEqual(t.context.server.faults, []);
  await t.context.port.close();
  await t.context.client.close();
  await t.context.server.close();
  await rm(t.context.cacheFolder, { recursive: true, force: true });
});

const wide = (matrix: Matrix, dtype: "F16" | "BF16"): Uint8Array => {
  const words = new Uint32Array(matrix.values.slice().buffer);
  // The upper half of a float32 is a bfloat16; as float16 its bits are some other number, which is finite below 0x7c00.
  const mask = dtype === "F16" ? 0xbbff : 0xffff;
  return new Uint8Array(Uint16Array.from(words, (word) => (word >>> 16) & mask).buffer);
};

/** A model that has the layers of all experts. */
function createTensors(seed: number): TensorData[] {
  const float8 = Uint8Array.from(randomValues(70 * 60, seed), (value) => Math.round((value + 2) * 1000) & 0x77);
  const narrow = randomMatrix(70, 60, seed + 1);
  return [
    toTensor("linear.weight", randomMatrix(70, 60, seed)),
    toTensor("packed.weight", randomMatrix(60, 60, seed + 2)),
    toTensor("turned.weight", randomMatrix(60, 70, seed + 3)),
    { name: "conv.weight", dtype: "F32", shape: [8, 3, 3, 3], bytes: float32Bytes(randomValues(216, seed + 4)) },
    { name: "bias", dtype: "F32", shape: [70], bytes: float32Bytes(randomValues(70, seed + 5)) },
    { name: "quantised.weight", dtype: "F8_E4M3", shape: [70, 60], bytes: float8 },
    { name: "quantised.weight_scale", dtype: "F32", shape: [70, 1], bytes: float32Bytes(randomValues(70, seed + 6)) },
    {
      name: "narrow.weight",
      dtype: seed % 2 === 0 ? "BF16" : "F16",
      shape: [70, 60],
      bytes: wide(narrow, seed % 2 === 0 ? "BF16" : "F16"),
    },
    toTensor("adapter.lora_A.weight", randomMatrix(5, 60, seed + 7)),
    toTensor("adapter.lora_B.weight", randomMatrix(70, 5, seed + 8)),
    { name: "adapter.alpha", dtype: "F32", shape: [], bytes: float32Bytes(Float32Array.of(2.5)) },
    toTensor("plain.lora_A.weight", randomMatrix(5, 60, seed + 9)),
    toTensor("plain.lora_B.weight", randomMatrix(70, 5, seed + 10)),
  ];
}

const config = { lora_adapter_metadata: JSON.stringify({ r: 5, lora_alpha: 15 }) };

test("layers projected here get the results of streamed ones: every layout, slice, element type and scale", async (t) => {
  const { client, port } = t.context;
  const paths = await Promise.all([1, 2].map((seed) => writeModel(t, `model ${seed}`, createTensors(seed), config)));
  for (const { name } of experts.slice(0, -1)) {
    const texts = randomMatrix(3, 5, 77);
    const options = { experts: [name], texts };
    const [streamed, projected] = [await embedAll(client, paths, options), await embedAll(port, paths, options)];
    for (const [index, outcome] of streamed.entries()) {
      const [wanted, found] = [toResult(outcome), toResult(projected[index])];
      const [one, other] = [wanted.embeddings[0], found.embeddings[0]];
      if (one === undefined || other === undefined) return t.fail(name);
      t.true(relativeError(other.representation, one.representation) <= tolerance, name);
      t.true(one.cosines.length === 0 || relativeError(other.cosines, one.cosines) <= tolerance, name);
      t.true(one.logits.length === 0 || relativeError(other.logits, one.logits) <= tolerance, name);
      t.deepEqual(other.labels, one.labels);
      t.deepEqual([other.spaceId, other.expertName], [one.spaceId, one.expertName]);
      t.is(found.weightsHash, wanted.weightsHash);
      t.is(found.bytesTotal, wanted.bytesTotal);
      t.is(found.rowsProjected, wanted.rowsProjected);
      t.is(found.bytesReceived, 0);
      t.deepEqual(found.backends, wanted.backends);
    }
  }
});

test("one model may be projected for several experts at a time", async (t) => {
  const { client, port } = t.context;
  const paths = [await writeModel(t, "model", createTensors(4), config)];
  const names = ["linear", "labels", "slice", "lora", "lora applied"];
  const [streamed] = await embedAll(client, paths, { experts: names });
  const [projected] = await embedAll(port, paths, { experts: names });
  const [wanted, found] = [toResult(streamed), toResult(projected)];
  t.deepEqual(
    found.embeddings.map(({ expertName }) => expertName),
    names,
  );
  for (const [index, { representation }] of found.embeddings.entries()) {
    t.true(relativeError(representation, wanted.embeddings[index]?.representation ?? []) <= tolerance);
  }
});

for (const name of goldenNames) {
  test(`the figures recorded for ${name} come out where the layers are projected here`, async (t) => {
    const golden = await readGoldenCase(name);
    const { port } = t.context;
    const paths = await writeGoldenModels(golden, await createTemporaryFolder(t));
    const outcomes = await embedAll(port, paths, { experts: [name], texts: golden.texts });
    for (const [index, { representation, logits }] of golden.expected.entries()) {
      const [found] = toResult(outcomes[index]).embeddings;
      if (found === undefined) return t.fail();
      const scores = golden.texts === undefined ? found.logits : found.cosines;
      t.true(relativeError(scores, logits) <= 1e-5);
      if (representation !== undefined) t.true(relativeError(found.representation, representation) <= 1e-5);
    }
  });
}

test("no weights leave this process: little is sent, and none of their bytes", async (t) => {
  const { server } = t.context;
  const weights = randomMatrix(4096, 512, 5);
  const path = await writeModel(t, "tall", [toTensor("tall.weight", weights)]);
  const layer = Buffer.from(weights.values.buffer, weights.values.byteOffset, weights.values.byteLength);
  const runs = Array.from({ length: 512 }, (_, at) => layer.subarray(at * 16_384, at * 16_384 + 16));
  const sent: { readonly bytes: number; readonly found: number; readonly representation: Float32Array }[] = [];
  for (const isPrivate of [false, true]) {
    const tap = await startByteTap(server.target);
    const client = connect({ target: tap.target });
    t.teardown(async () => {
      await client.close();
      tap.close();
    });
    const port = isPrivate ? await openProbingPort(t, client) : client;
    const [outcome] = await embedAll(port, [path], { experts: ["tall"] });
    const bytes = tap.sent();
    const representation = toResult(outcome).embeddings[0]?.representation ?? new Float32Array(0);
    // As it went over the wire, and without the ends of frames that cut a run in two.
    const found = countRuns(Buffer.concat([bytes, tap.data()]), runs);
    sent.push({ bytes: bytes.byteLength, found, representation });
  }
  const [streamed, projected] = sent;
  t.true((streamed?.bytes ?? 0) > layer.byteLength && streamed?.found === 512);
  t.true((projected?.bytes ?? layer.byteLength) < 8192, `${projected?.bytes} bytes were sent`);
  t.is(projected?.found, 0);
  t.true(relativeError(projected?.representation ?? [], streamed?.representation ?? []) <= tolerance);
});

test("a model is indexed with the digest that was computed here", async (t) => {
  const { client, port } = t.context;
  const path = await writeModel(t, "indexed", createTensors(8));
  const index = () => ({ modelId: "projected", metadata: { style: "anime" } });
  const [outcome] = await embedAll(port, [path], { experts: ["linear"], index });
  const { indexedId, weightsHash } = toResult(outcome);
  t.is(indexedId, "projected");
  const [record] = await client.getModels({ modelIds: ["projected"] });
  t.is(record?.weightsHash, weightsHash);
  t.deepEqual(record?.metadata, { style: "anime" });
});

test("what is wrong with one model is its own error, as if it were streamed", async (t) => {
  const { client, port } = t.context;
  const nan = randomMatrix(70, 60, 1);
  nan.values[61] = Number.NaN;
  const paths = [
    await writeModel(t, "other", [toTensor("other.weight", randomMatrix(2, 2, 1))]),
    await writeModel(t, "nan", [toTensor("linear.weight", nan)]),
    await writeModel(t, "sound", createTensors(9)),
    await writeModel(t, "shape", [toTensor("linear.weight", randomMatrix(70, 59, 1))]),
  ];
  const reasons = async (where: typeof port): Promise<string[]> =>
    (await embedAll(where, paths, { experts: ["linear"] })).map((one) => (one instanceof Error ? one.reason : ""));
  const found = await reasons(port);
  t.deepEqual(found, ["LAYER_NOT_FOUND", "NON_FINITE", "", "SHAPE_MISMATCH"]);
  t.deepEqual(await reasons(client), found);
  const [wrongTexts] = await embedAll(port, paths.slice(2, 3), { experts: ["linear"], texts: randomMatrix(1, 4, 1) });
  assertError(t, wrongTexts, { reason: "TEXT_WIDTH_MISMATCH", message: /4 wide, the expert compares with 5/ });
});

test("a run that is given up ends, and the next one works", async (t) => {
  const { port } = t.context;
  const path = await writeModel(t, "tall", [toTensor("tall.weight", randomMatrix(4096, 512, 6))]);
  const controller = new AbortController();
  const outcomes = embedFiles([path], port, {
    experts: ["tall"],
    signal: controller.signal,
    onProgress: ({ bytesSent }) => bytesSent > 0 && controller.abort(new Error("enough")),
  });
  const end = async (): Promise<void> => {
    for await (const _ of outcomes);
  };
  await t.throwsAsync(end, { message: "enough" });
  t.is(toResult((await embedAll(port, [path], { experts: ["tall"] }))[0]).embeddings.length, 1);
});
