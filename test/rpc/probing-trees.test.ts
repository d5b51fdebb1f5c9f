import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { writeTree } from "../../src/search/calibrate-expert.js";
import type { ProjectedModel } from "../../src/search/probing/projected-model.js";
import { fitMoments } from "../../src/trees/fit-moments.js";
import { openSketchKernel } from "../../src/trees/sketches/sketch-kernel.js";
import { addMoments } from "../../src/trees/sketches/sketch-moments.js";
import { afterAll } from "../helpers/after-all.js";
import { assertError } from "../helpers/assert-refused.js";
import { toTensor } from "../helpers/expert-folder.js";
import { relativeError } from "../helpers/oracle.js";
import { embedAll, openProbingPort, tolerance, toResult, writeModel } from "../helpers/probing.js";
import { randomMatrix } from "../helpers/random.js";
import { writeTestExpert } from "../helpers/rpc-experts.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { createTestTree, toFreshWeights, writeTreeExperts } from "../helpers/tree-models.js";

const shape = { rowCount: 300, columnCount: 120 };

const random = new Random(3);
const trees = ["first", "second"].map((name) => createTestTree(name, toFreshWeights(shape, random), 0.1));
const shared = afterAll(test);
/** Has experts of both trees. */
let server: TestServer;
let client: ProbestreamClient;

test.before(async () => {
  server = await startTestServer([], { backend: "onnx" });
  shared.teardown(() => server.close());
  await writeTreeExperts(server.catalogue, shape, trees);
  client = connect({ target: server.target });
  shared.teardown(() => client.close());
});

test("trees choose and refuse as they do of streamed layers", async (t) => {
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
  const server = await startTestServer([], { backend: "onnx" });
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
