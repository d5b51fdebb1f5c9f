import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import type { Matrix } from "../../src/compute/compute-backend.js";
import { Random } from "../../src/linalg/random.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { writeTree } from "../../src/search/calibrate-expert.js";
import { embedFiles } from "../../src/search/embed-files.js";
import type { EmbedPort } from "../../src/search/embed-port.js";
import { createProbingPort } from "../../src/search/probing/create-probing-port.js";
import type { ProjectedModel } from "../../src/search/probing/projected-model.js";
import { fitMoments } from "../../src/trees/fit-moments.js";
import { openSketchKernel } from "../../src/trees/sketches/sketch-kernel.js";
import { addMoments } from "../../src/trees/sketches/sketch-moments.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { assertError } from "../helpers/assert-refused.js";
import { startByteTap } from "../helpers/byte-tap.js";
import { toTensor } from "../helpers/expert-folder.js";
import { goldenNames, readGoldenCase, writeGoldenExpert, writeGoldenModels } from "../helpers/golden.js";
import { relativeError } from "../helpers/oracle.js";
import { embedAll, openProbingPort, toResult } from "../helpers/probing.js";
import { randomMatrix, randomValues } from "../helpers/random.js";
import { type TestExpertSpec, writeTestExpert } from "../helpers/rpc-experts.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { createTestTree, toFreshWeights, writeTreeExperts } from "../helpers/tree-models.js";

interface Context {
  server: TestServer;
  client: ProbestreamClient;
  /** Projects here. */
  port: EmbedPort;
  cacheFolder: string;
}

const test = anyTest as TestFn<Context>;

/** Between a layer that was projected here and the same one streamed, relative L2. */
const tolerance = 1e-6;

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
  const server = await startTestServer(experts, { store: createMemoryStore() });
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

async function writeModel(
  t: ExecutionContext,
  name: string,
  tensors: readonly TensorData[],
  metadata = {},
): Promise<string> {
  const path = join(await createTemporaryFolder(t), `${name}.safetensors`);
  await writeFile(path, encodeSafetensors(tensors, metadata));
  return path;
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
    sent.push({ bytes: bytes.byteLength, found: runs.filter((run) => bytes.includes(run)).length, representation });
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

const shape = { rowCount: 300, columnCount: 120 };

test("trees choose and refuse as they do of streamed layers", async (t) => {
  const server = await startTestServer([]);
  const random = new Random(3);
  const trees = ["first", "second"].map((name) => createTestTree(name, toFreshWeights(shape, random), 0.1));
  await writeTreeExperts(server.catalogue, shape, trees);
  const client = connect({ target: server.target });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  const port = await openProbingPort(t, client);
  const write = (name: string, values: Float32Array): Promise<string> =>
    writeModel(t, name, [toTensor("m.fc.weight", { rows: 300, columns: 120, values })]);
  const paths = [
    await write("first", trees[0]?.grow(random) ?? new Float32Array(0)),
    await write("second", trees[1]?.grow(random) ?? new Float32Array(0)),
    await write("stranger", toFreshWeights(shape, random)),
  ];
  for (const options of [{}, { experts: ["second"] }]) {
    const streamed = await embedAll(client, paths, options);
    for (const [index, found] of (await embedAll(port, paths, options)).entries()) {
      const wanted = streamed[index];
      if (wanted instanceof Error) {
        t.is((found as typeof wanted).reason, wanted.reason);
        continue;
      }
      const [one, other] = [toResult(wanted).embeddings, toResult(found).embeddings];
      t.is(other.length, 1);
      t.is(other[0]?.expertName, one[0]?.expertName);
      const { distance = 0, next, ...tree } = one[0]?.tree ?? {};
      const { distance: near = 1, next: second, ...same } = other[0]?.tree ?? {};
      t.deepEqual(same, tree);
      t.is(second?.tree, next?.tree);
      t.true(Math.abs(near - distance) <= 1e-5 * distance);
      t.true(relativeError(other[0]?.representation ?? [], one[0]?.representation ?? []) <= tolerance);
    }
  }
  t.deepEqual(
    (await embedAll(port, paths)).map((one) => (one instanceof Error ? one.reason : one.embeddings[0]?.expertName)),
    ["first", "second", "NO_EXPERT"],
  );
  t.deepEqual(server.faults, []);
});

const loraShape = { rows: 90, columns: 80, rank: 4 };

/** LoRA models of a base that moves in directions of its own. */
function createLoraTree(seed: number): (random: Random) => { readonly down: Float32Array; readonly up: Float32Array } {
  const { rows, columns, rank } = loraShape;
  const [down, up] = [randomMatrix(rank, columns, seed), randomMatrix(rows, rank, seed + 1)];
  const move = (values: Float32Array, random: Random): Float32Array => {
    const change = random.spread(values.length, 0.3);
    return values.map((value, i) => value + (change[i] as number));
  };
  return (random) => ({ down: move(down.values, random), up: move(up.values, random) });
}

async function writeLoraTrees(catalogue: string, grows: readonly ReturnType<typeof createLoraTree>[]): Promise<void> {
  const { rows, columns, rank } = loraShape;
  const kernel = await openSketchKernel();
  for (const [index, grow] of grows.entries()) {
    const spec = {
      name: `tree ${index}`,
      module: "mod",
      kind: "lora",
      shape: [rows, columns],
      seed: 70 + index,
    } as const;
    const { folder } = await writeTestExpert(catalogue, spec);
    const random = new Random(index);
    const sketches = Array.from({ length: 12 }, () => {
      const sum = new Float64Array(128 * 64);
      addMoments(sum, 128, 0, { rank, ...grow(random) }, kernel.gram);
      return sum;
    });
    await writeTree(folder, { name: spec.name, models: 12, moments: fitMoments(sketches) });
  }
}

test("LoRA layers find their tree by the moments that were computed here", async (t) => {
  const server = await startTestServer([]);
  const grows = [createLoraTree(300), createLoraTree(400)];
  await writeLoraTrees(server.catalogue, grows);
  const client = connect({ target: server.target });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  const port = await openProbingPort(t, client);
  const { rows, columns, rank } = loraShape;
  const random = new Random(8);
  const paths = await Promise.all(
    [...grows, createLoraTree(500)].map((grow, index) => {
      const { down, up } = grow(random);
      return writeModel(t, `model ${index}`, [
        toTensor("mod.lora_A.weight", { rows: rank, columns, values: down }),
        toTensor("mod.lora_B.weight", { rows, columns: rank, values: up }),
      ]);
    }),
  );
  const [streamed, projected] = [await embedAll(client, paths), await embedAll(port, paths)];
  for (const [index, name] of ["tree 0", "tree 1"].entries()) {
    const [wanted] = toResult(streamed[index]).embeddings;
    const [found] = toResult(projected[index]).embeddings;
    t.is(found?.tree?.tree, name);
    t.is(found?.tree?.basis, "moments");
    t.true(Math.abs((found?.tree?.distance ?? 0) - (wanted?.tree?.distance ?? 1)) < 1e-6);
    t.true(relativeError(found?.representation ?? [], wanted?.representation ?? []) <= tolerance);
  }
  for (const one of [streamed[2], projected[2]]) assertError(t, one, { reason: "NO_EXPERT", message: /nearest tree/ });
  t.deepEqual(server.faults, []);
});

test("a sketch that is missing, of another kind or shape, or not finite, is refused where it decides", async (t) => {
  const server = await startTestServer([]);
  const random = new Random(3);
  const trees = ["first", "second"].map((name) => createTestTree(name, toFreshWeights(shape, random), 0.1));
  await writeTreeExperts(server.catalogue, shape, trees);
  const client = connect({ target: server.target });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  const sent: ProjectedModel[] = [];
  const port = await openProbingPort(t, {
    ...client,
    embedProjections: (batch, signal) => {
      sent.push(...batch.models);
      return client.embedProjections(batch, signal);
    },
  });
  const values = trees[0]?.grow(random) ?? new Float32Array(0);
  const path = await writeModel(t, "first", [toTensor("m.fc.weight", { rows: 300, columns: 120, values })]);
  await embedAll(port, [path]);
  const [model] = sent;
  const [sketch] = model?.sketches ?? [];
  if (model === undefined || sketch === undefined) return t.fail();
  t.deepEqual([sketch.name, sketch.rows, sketch.columns], ["rows/1", 128, 64]);
  const withSketch = (changes: Partial<typeof sketch>): ProjectedModel => ({
    ...model,
    sketches: [{ ...sketch, ...changes }],
  });
  const faults = [
    [
      { ...model, targets: model.targets.map((one) => ({ ...one, sketch: undefined })) },
      "FIELD_INVALID",
      /has no sketch/,
    ],
    [withSketch({ name: "moments/1" }), "FIELD_INVALID", /"moments\/1"; the plan asks for "rows\/1"/],
    [withSketch({ rows: 64, columns: 128 }), "SHAPE_MISMATCH", /\[64, 128\]; that of the layer has \[128, 64\]/],
    [withSketch({ values: sketch.values.map((one, at) => (at === 9 ? Number.NaN : one)) }), "NON_FINITE", /"rows\/1"/],
    [
      { ...model, sketches: [sketch, sketch], targets: model.targets.map((one, at) => ({ ...one, sketch: at })) },
      "FIELD_INVALID",
      /have different sketches/,
    ],
  ] as const;
  const outcomes = await client.embedProjections({ models: faults.map(([one]) => one) });
  for (const [index, [, reason, message]] of faults.entries()) {
    assertError(t, outcomes[index], { kind: "invalid-input", reason, message });
  }
  // A client that makes no sketches still gets a representation of an expert that it names.
  const named = {
    ...model,
    isRouted: false,
    sketches: [],
    targets: model.targets.map((one) => ({ ...one, sketch: undefined })),
  };
  const [outcome] = await client.embedProjections({ models: [{ ...named, targets: named.targets.slice(0, 1) }] });
  const { embeddings } = toResult(outcome);
  t.deepEqual([embeddings.length, embeddings[0]?.tree], [1, undefined]);
  t.deepEqual(server.faults, []);
});
