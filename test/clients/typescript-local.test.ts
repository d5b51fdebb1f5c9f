import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { writeSparseModel } from "../../bench/fixtures.js";
import { Client } from "../../clients/typescript/src/client.js";
import { EmbedResult } from "../../clients/typescript/src/index.js";
import type { ExpertProbes } from "../../src/experts/expert-probes.js";
import { encodeProbes } from "../../src/experts/probes-file.js";
import { Random } from "../../src/linalg/random.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { countRuns, startByteTap } from "../helpers/byte-tap.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { goldenNames, readGoldenCase, writeGoldenExpert } from "../helpers/golden.js";
import { installClient } from "../helpers/install-client.js";
import { relativeError } from "../helpers/oracle.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import {
  exactRepresentation,
  largeLayer,
  smallExpert,
  smallLayer,
  smallWeights,
  writeLargeExpert,
  writeSmallExpert,
} from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { createTestTree, toFreshWeights, writeTreeExperts } from "../helpers/tree-models.js";

interface Context {
  server: TestServer;
  /** What tests have together that are about neither connecting nor fetching: each client starts a thread. */
  shared: Pick<Own, "client" | "probes">;
}

const test = anyTest as TestFn<Context>;

/** A wide layer of 256 MiB, of which a few probes are taken. */
const wide = { rows: 65_536, columns: 1024 };

test.before(async (t) => {
  const server = await startTestServer([], { store: createMemoryStore(), backend: "onnx" });
  await writeSmallExpert(server.catalogue);
  await writeLargeExpert(server.catalogue);
  const sizes = { probeCount: 64, projectionWidth: 16 };
  await writeExpert(join(server.catalogue, "wide"), createExpertParameters({ ...wide, ...sizes }), { module: "wide" });
  for (const name of goldenNames) await writeGoldenExpert(await readGoldenCase(name), server.catalogue);
  const client = new Client(connect({ target: server.target }));
  t.context = { server, shared: { client, probes: await mkdtemp(join(tmpdir(), "probestream-test-")) } };
});
test.after.always(async (t) => {
  const { server, shared } = t.context;
  const { memory } = server.embedder;
  t.deepEqual([server.faults, memory.openStreams], [[], 0]);
  await Promise.all([shared.client.close(), server.close()]);
  await rm(shared.probes, { recursive: true });
});

/** A client with a folder of probes of its own. */
interface Own {
  readonly client: Client;
  readonly probes: string;
  /** Space ids whose probes were fetched, call by call. */
  readonly asked: (readonly string[])[];
}

async function openClient(
  t: ExecutionContext<Context>,
  { probes, change = (sent) => sent }: { probes?: string; change?: (sent: ExpertProbes) => ExpertProbes } = {},
): Promise<Own> {
  const port: ProbestreamClient = connect({ target: t.context.server.target });
  const asked: (readonly string[])[] = [];
  const client = new Client({
    ...port,
    probes: async (spaceIds, signal) => {
      asked.push(spaceIds);
      return (await port.probes(spaceIds, signal)).map(change);
    },
  });
  t.teardown(() => client.close());
  return { client, probes: probes ?? join(await createTemporaryFolder(t), "probes"), asked };
}

/** Arrays of the model with the small layer. */
const small = (seed: number, { rows, columns, values } = smallWeights(seed)) => ({
  id: `small ${seed}`,
  arrays: { "m.fc.weight": { shape: [rows, columns], data: values } },
});

/** A result that must be one. */
function toResult(t: ExecutionContext<Context>, outcome: unknown): EmbedResult {
  if (outcome instanceof EmbedResult) return outcome;
  throw t.fail(String(outcome));
}

test("every recorded case comes out to 1e-5 where it is projected here, and as streamed to 1e-6", async (t) => {
  const { client, probes } = t.context.shared;
  for (const name of goldenNames) {
    const { models, texts, expected } = await readGoldenCase(name);
    const given = models.map((tensors, i) => ({
      id: `${name} ${i}`,
      arrays: Object.fromEntries(
        tensors.map(({ name: tensor, shape, bytes }) => {
          return [tensor, { shape, data: new Float32Array(bytes.slice().buffer) }];
        }),
      ),
    }));
    const streamed = await client.embed(given, { experts: [name], texts });
    const projected = await client.embed(given, { experts: [name], texts, local: true, probes });
    for (const [i, { representation, logits }] of expected.entries()) {
      const [found, other] = [toResult(t, projected[i]), toResult(t, streamed[i])];
      const scores = texts === undefined ? "labelLogits" : "textCosines";
      if (representation !== undefined) t.true(relativeError(found.representation, representation) <= 1e-5, name);
      t.true(relativeError(found.embedding[scores], logits) <= 1e-5, name);
      t.true(relativeError(found.representation, other.representation) <= 1e-6, name);
      t.true(relativeError(found.embedding[scores], other.embedding[scores]) <= 1e-6, name);
      t.is(found.weightsHash, other.weightsHash);
      t.deepEqual([found.bytesReceived, found.bytesTotal], [0, other.bytesTotal]);
      t.deepEqual(new Set(found.backends.map((backend) => backend.name)), new Set(["wasm"]));
    }
  }
});

test("no weights leave this process, whatever word says so", async (t) => {
  const { rows, columns } = largeLayer;
  const data = new Float32Array(new Random(5).spread(rows * columns, 1));
  const layer = Buffer.from(data.buffer);
  const runs = Array.from({ length: 250 }, (_, at) => layer.subarray(at * 84_000, at * 84_000 + 16));
  const model = { id: "tapped", arrays: { "m.big.weight": { shape: [rows, columns], data } } };
  const tap = await startByteTap(t.context.server.target);
  t.teardown(() => tap.close());
  const client = new Client(connect({ target: tap.target }));
  t.teardown(() => client.close());
  const probes = await createTemporaryFolder(t);
  const embedTapped = async (options: object): Promise<{ sent: number; found: number; result: EmbedResult }> => {
    const [sentBefore, dataBefore] = [tap.sent().byteLength, tap.data().byteLength];
    const result = await client.embed(model, { experts: ["large"], probes, ...options });
    const bytes = tap.sent().subarray(sentBefore);
    // As it went over the wire, and without the ends of frames that cut a run in two.
    const found = countRuns(Buffer.concat([bytes, tap.data().subarray(dataBefore)]), runs);
    return { sent: bytes.byteLength, found, result };
  };
  const streamed = await embedTapped({});
  t.true(streamed.sent > layer.byteLength && streamed.found === runs.length);
  // Who writes no TypeScript gets no warning of a word in place of true; that must not send the weights.
  for (const local of [true, "yes", 1]) {
    const { sent, found, result } = await embedTapped({ local });
    t.true(sent < 8192, `${sent} bytes were sent`);
    t.is(found, 0);
    t.is(result.rowsProjected, streamed.result.rowsProjected);
    t.is(result.weightsHash, streamed.result.weightsHash);
    t.true(relativeError(result.representation, streamed.result.representation) <= 1e-6);
  }
});

test("probes are fetched once, also by several calls at a time, and anew where their file is damaged", async (t) => {
  const folder = join(await createTemporaryFolder(t), "probes");
  const expected = exactRepresentation(smallExpert, smallWeights(1));
  const embed = async (): Promise<number> => {
    // A client of its own: what it has in memory does not count.
    const { client, asked } = await openClient(t, { probes: folder });
    const calls = Array.from({ length: 3 }, () =>
      client.embed(small(1), { experts: ["small"], local: true, probes: folder }),
    );
    for (const { representation } of await Promise.all(calls)) t.true(relativeError(representation, expected) <= 1e-5);
    await client.close();
    return asked.length;
  };
  t.is(await embed(), 1);
  t.is(await embed(), 0);
  const [name = "", ...others] = await readdir(folder);
  t.deepEqual(others, []);
  const file = join(folder, name);
  const sound = await readFile(file);
  const flipped = Buffer.from(sound);
  flipped[sound.byteLength - 3] = (flipped[sound.byteLength - 3] ?? 0) ^ 64;
  for (const damaged of [flipped, sound.subarray(0, 100), Buffer.alloc(0), Buffer.from("no probes")]) {
    await writeFile(file, damaged);
    t.is(await embed(), 1);
    t.deepEqual(await readFile(file), sound);
  }
});

test("probes that do not fit, and those that cannot be computed with, are their expert's error and not kept", async (t) => {
  const nan = (values: Float32Array): Float32Array => values.map((value, at) => (at === 5 ? Number.NaN : value));
  const faults = [
    [(sent: ExpertProbes) => ({ ...sent, accumulator: "probex/2" }), "FORMAT_REFUSED", /projects by "probex\/2"/],
    [(sent: ExpertProbes) => ({ ...sent, tensors: sent.tensors.slice(1) }), "SHAPE_MISMATCH", /0 tensors "u"/],
    [
      ({ tensors, ...sent }: ExpertProbes) => ({
        ...sent,
        tensors: tensors.map((tensor) => ({ ...tensor, values: nan(tensor.values) })),
      }),
      "NON_FINITE",
      /hold NaN or infinity/,
    ],
    [(sent: ExpertProbes) => ({ ...sent, spaceId: "../../probes" }), "CORRUPT", /a space id has 64 digits/],
  ] as const;
  let change: (typeof faults)[number][0] = faults[0][0];
  const { client, probes } = await openClient(t, { change: (sent) => change(sent) });
  const options = { experts: ["small"], local: true, probes };
  for (const [fault, reason, message] of faults) {
    change = fault;
    await assertRefused(t, () => client.embed(small(2), options), { reason, message });
    t.deepEqual(await readdir(probes), []);
  }
});

test("a file of probes that another client kept is used", async (t) => {
  const { client, probes, asked } = await openClient(t);
  await client.embed(small(1), { experts: ["small"], local: true, probes });
  const [[spaceId = ""] = []] = asked;
  const port = connect({ target: t.context.server.target });
  t.teardown(() => port.close());
  const [sent] = await port.probes([spaceId]);
  if (sent === undefined) return t.fail();
  t.deepEqual(await readFile(join(probes, `${spaceId}.safetensors`)), Buffer.from(encodeProbes(sent)));
  const other = await openClient(t, { probes });
  const { representation } = await other.client.embed(small(3), { experts: ["small"], local: true, probes });
  t.true(relativeError(representation, exactRepresentation(smallExpert, smallWeights(3))) <= 1e-5);
  t.deepEqual(other.asked, []);
});

test("one model's fault is its own", async (t) => {
  const { client, probes } = t.context.shared;
  const options = { experts: ["small"], local: true, probes };
  const { rows, columns, values } = smallWeights(4);
  const nan = { rows, columns, values: values.map((value, at) => (at === 34 ? Number.NaN : value)) };
  const models = [
    small(4, nan),
    small(4),
    small(4, { rows: 12, columns: 9, values: new Float32Array(108) }),
    { arrays: { "m.no.weight": { shape: [12, 10], data: values } } },
    { bytes: new Uint8Array(7) },
  ];
  const found = await client.embed(models, options);
  t.deepEqual(
    found.map((one) => (one instanceof EmbedResult ? "" : one.reason)),
    ["NON_FINITE", "", "SHAPE_MISMATCH", "LAYER_NOT_FOUND", "HEADER_MALFORMED"],
  );
  const { representation } = toResult(t, found[1]);
  t.true(relativeError(representation, exactRepresentation(smallExpert, smallWeights(4))) <= 1e-5);
  await assertRefused(t, () => client.embed(small(4), { ...options, texts: [[1, 2, 3]] }), {
    reason: "TEXT_WIDTH_MISMATCH",
    message: /3 wide/,
  });
});

test("a model is indexed with the digest that was computed here", async (t) => {
  const { client, probes } = t.context.shared;
  const index = { metadata: { made: "here" } };
  const { indexedId, weightsHash } = await client.embed(small(5), { experts: ["small"], local: true, probes, index });
  t.is(indexedId, "small 5");
  const [record] = await client.get("small 5");
  t.is(record?.weightsHash, weightsHash);
  t.deepEqual(record?.metadata, { made: "here" });
});

test("it stops at a signal and at its deadline, tells its progress, and works again", async (t) => {
  const { client, probes } = t.context.shared;
  const { rows, columns } = largeLayer;
  const data = new Float32Array(rows * columns).fill(0.5);
  const model = { id: "large", arrays: { "m.big.weight": { shape: [rows, columns], data } } };
  const options = { experts: ["large"], local: true, probes };
  const controller = new AbortController();
  const onProgress = ({ bytesSent }: { bytesSent: number }): void => {
    if (bytesSent > 0) controller.abort(new Error("enough"));
  };
  await t.throwsAsync(client.embed(model, { ...options, signal: controller.signal, onProgress }), {
    message: "enough",
  });
  const late: unknown = await client.embed(model, { ...options, deadlineMs: 1 }).catch((error: unknown) => error);
  t.true(late instanceof DOMException && late.name === "TimeoutError", String(late));
  let most = 0;
  const { bytesTotal } = await client.embed(model, {
    ...options,
    onProgress: ({ bytesSent }) => {
      most = Math.max(most, bytesSent);
    },
  });
  t.deepEqual([most, bytesTotal], [4 * rows * columns, 4 * rows * columns]);
});

test("a folder that cannot be written is said to be so, and another one serves", async (t) => {
  const { client, probes } = await openClient(t);
  const file = join(await createTemporaryFolder(t), "file");
  await writeFile(file, "");
  await assertRefused(t, () => client.embed(small(6), { experts: ["small"], local: true, probes: file }), {
    kind: "access-denied",
    reason: "ACCESS_DENIED",
    message: /choose another folder \(the option probes/,
  });
  t.is((await client.embed(small(6), { experts: ["small"], local: true, probes })).embeddings.length, 1);
  await client.close();
  await assertRefused(t, () => client.embed(small(6), { experts: ["small"], local: true, probes }), {
    reason: "SHUTTING_DOWN",
    message: /the client is closed/,
  });
});

const withProc = existsSync("/proc/self") ? test : test.skip;

withProc("a folder in a file system that lets nobody make one is refused, and not tried for ever", async (t) => {
  const { client } = await openClient(t);
  await assertRefused(
    t,
    () => client.embed(small(6), { experts: ["small"], local: true, probes: "/proc/nope/probes" }),
    {
      kind: "access-denied",
      reason: "ACCESS_DENIED",
      message: /"\/proc\/nope\/probes" \(ENOENT\); check its rights and room, or choose another folder/,
    },
  );
});

test("trees choose by sketches that are made here", async (t) => {
  const server = await startTestServer([], { backend: "onnx" });
  t.teardown(() => server.close());
  const shape = { rowCount: smallLayer.rows * 25, columnCount: 120 };
  const random = new Random(3);
  const trees = ["first", "second"].map((name) => createTestTree(name, toFreshWeights(shape, random), 0.1));
  await writeTreeExperts(server.catalogue, shape, trees);
  const client = new Client(connect({ target: server.target }));
  t.teardown(() => client.close());
  const probes = await createTemporaryFolder(t);
  const layers = [...trees.map(({ grow }) => grow(random)), toFreshWeights(shape, random)];
  const models = layers.map((data, i) => ({
    id: `model ${i}`,
    arrays: { "m.fc.weight": { shape: [shape.rowCount, shape.columnCount], data } },
  }));
  const [streamed, projected] = [await client.embed(models), await client.embed(models, { local: true, probes })];
  for (const [i, { name }] of trees.entries()) {
    const [found, wanted] = [toResult(t, projected[i]).embedding, toResult(t, streamed[i]).embedding];
    t.deepEqual([found.expertName, found.tree?.tree], [name, name]);
    t.true(Math.abs((found.tree?.distance ?? 0) - (wanted.tree?.distance ?? 1)) <= 1e-5 * (wanted.tree?.distance ?? 0));
    t.true(relativeError(found.representation, wanted.representation) <= 1e-6);
  }
  for (const one of [streamed[2], projected[2]]) assertError(t, one, { reason: "NO_EXPERT", message: /nearest tree/ });
});

/** Embeds the layer twice, once to be warm, and says what that took. It closes nothing. */
const measuring = `
  import { readFileSync, writeFileSync } from "node:fs";
  import { connect } from "@probestream/client";

  const [target, path] = process.argv.slice(2);
  const client = connect(target);
  const options = { experts: ["wide"], local: true, probes: "probes" };
  const status = (name) => 1024 * Number(new RegExp(name + ":\\\\s+(\\\\d+)").exec(readFileSync("/proc/self/status", "utf8"))[1]);
  const ticks = (place) => {
    const fields = readFileSync("/proc/self/" + place, "utf8").split(") ")[1].split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  await client.experts();
  const idle = status("VmRSS");
  writeFileSync("/proc/self/clear_refs", "5");
  const result = await client.embed(path, options);
  const before = [ticks("stat"), ticks("task/" + process.pid + "/stat")];
  await client.embed(path, options);
  const [all, main] = [ticks("stat") - before[0], ticks("task/" + process.pid + "/stat") - before[1]];
  const { rowsProjected, bytesReceived, backends } = result;
  console.log(JSON.stringify({ rowsProjected, bytesReceived, backends, above: status("VmHWM") - idle, all, main }));
`;

// The figures come from /proc; elsewhere there is nothing to measure.
const linux = existsSync("/proc/self/clear_refs") ? test : test.skip;

linux("the package takes little memory for a large layer, and works in threads that nobody must close", async (t) => {
  const folder = await createTemporaryFolder(t);
  await installClient(folder);
  const path = join(folder, "wide.safetensors");
  await writeSparseModel(path, "wide", wide.rows, wide.columns);
  await writeFile(join(folder, "measure.mjs"), measuring);
  const words = ["measure.mjs", t.context.server.target, path];
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: folder, timeout: 60_000 });
  t.log(stdout.trim());
  const { rowsProjected, bytesReceived, backends, above, all, main } = JSON.parse(stdout);
  t.deepEqual([rowsProjected, bytesReceived], [wide.rows, 0]);
  t.is(backends[0].name, "wasm");
  t.true(above <= 100 * 1024 ** 2, `${above} bytes above idle`);
  t.true(main < all / 2, `the event loop's thread took ${main} of ${all} ticks`);
});
