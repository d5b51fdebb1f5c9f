import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { startEmbedder } from "../../src/search/embedder.js";
import { toLoadingBytes } from "../../src/search/expert-memory.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { embedModel, planTestModel, sendModel, startTestEmbedder, toEmbedding } from "../helpers/embed-client.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { faultyBackend } from "../helpers/faulty-backend.js";
import { largeModel, smallLayer, smallModel, writeLargeExpert, writeSmallExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { inTime, until } from "../helpers/until.js";

async function startFaulty(t: ExecutionContext, computeModule: URL, workerCount = 1): Promise<Embedder> {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  await writeLargeExpert(root);
  return startTestEmbedder(t, root, { computeModule, workerCount });
}

/** Drawn once. */
const large = largeModel("upload-0123456789");

const workerLost =
  "the worker thread that projected the model died; send it again: a large upload goes on where it was last saved";

/** Whether a stream can be opened: not while a worker that died is replaced. */
function canOpen(embedder: Embedder): boolean {
  try {
    embedder.openStream().abort();
    return true;
  } catch {
    return false;
  }
}

test("a worker lives on where an expert cannot be unloaded, and the fault is told", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  await writeExpert(join(root, "other"), createExpertParameters({ ...smallLayer, seed: 90 }));
  const probe = await startTestEmbedder(t, root, { backend: "plain" });
  const [small] = (await probe.catalogue.list()).experts;
  if (small === undefined) throw new Error("the catalogue is empty");
  const faults: unknown[] = [];
  const embedder = await startTestEmbedder(t, root, {
    computeModule: faultyBackend("dispose"),
    memoryBudgetBytes: probe.memory.streamBytes + 300 + toLoadingBytes(small),
    onFault: (error) => faults.push(error),
  });
  // Each takes the place of the one before.
  for (const name of ["small", "other", "small"]) {
    const result = await inTime(embedModel(embedder, { ...smallModel(1), experts: [name] }), name);
    t.is(result.embeddings[0]?.expert.name, name);
  }
  t.deepEqual(
    faults.map((fault) => (fault instanceof Error ? fault.message : fault)),
    ["this product cannot be let go", "this product cannot be let go"],
  );
});

test("a worker that dies while others are still starting is replaced, and gets no stream", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  const faults: unknown[] = [];
  const embedder = await startTestEmbedder(t, root, {
    ...{ computeModule: faultyBackend("exit-first", { lock: join(root, "lock") }), workerCount: 2 },
    onFault: (error) => faults.push(error),
  });
  t.deepEqual(
    faults.map((fault) => (fault instanceof Error ? fault.message : fault)),
    [workerLost],
  );
  t.truthy(await inTime(embedModel(embedder, smallModel(1)), "a model"));
});

test("a module that is named by its URL does the computing", async (t) => {
  const embedder = await startFaulty(t, faultyBackend("none"), 2);
  t.deepEqual(embedder.backend, { name: "faulty", device: "TypeScript, CPU, 1 thread" });
  t.is(embedder.workerCount, 2);
  const result = await embedModel(embedder, smallModel(1));
  t.deepEqual(result.backends, [{ name: "plain", device: "TypeScript, CPU, 1 thread", rows: 12 }]);
});

test("a block that fails ends its model and no other, and the worker lives on", async (t) => {
  const embedder = await startFaulty(t, faultyBackend("throw", { after: 1 }));
  const stream = embedder.openStream();
  for (const seed of [0, 1]) await sendModel(stream, await planTestModel(embedder, smallModel(seed)));
  const outcomes = await inTime(stream.finish(), "the outcomes");
  t.is(outcomes.length, 2);
  assertError(t, outcomes[1]?.outcome, { kind: "internal", reason: "INTERNAL", message: "this block fails" });
  t.is(embedder.memory.openStreams, 0);
  t.true(canOpen(embedder));
});

for (const how of ["exit", "uncaught"] as const) {
  test(`a worker that dies (${how}) ends its streams with an error, gives their memory back and is replaced`, async (t) => {
    const embedder = await startFaulty(t, faultyBackend(how, { after: 3 }));
    const planned = await planTestModel(embedder, large);
    const idle = embedder.openStream();
    const stream = embedder.openStream();
    await inTime(sendModel(stream, planned), "the chunks");
    const outcomes = await inTime(stream.finish(), "the outcomes");
    assertError(t, outcomes[0]?.outcome, { kind: "aborted", reason: "WORKER_LOST", message: workerLost });
    const lost = outcomes[0]?.outcome;
    if (how === "uncaught") t.regex(String(lost instanceof Error ? lost.cause : lost), /nobody catches this/);
    const late = await planTestModel(embedder, smallModel(1));
    await inTime(sendModel(idle, late), "a model for a dead worker");
    assertError(t, (await inTime(idle.finish(), "its outcome"))[0]?.outcome, {
      reason: "WORKER_LOST",
      message: workerLost,
    });
    t.is(embedder.memory.openStreams, 0);
    t.is(embedder.memory.reservedBytes, 0);
    await until(() => canOpen(embedder), "another worker takes its place");
    // The next one passes three blocks too, of which a small expert takes one for its head.
    t.is((await inTime(embedModel(embedder, smallModel(2)), "a model after the crash")).rowsProjected, 12);
  });
}

test("a worker that dies while a stream ends without a footer gives outcomes", async (t) => {
  const embedder = await startFaulty(t, faultyBackend("exit", { delayMs: 20 }));
  const planned = await planTestModel(embedder, large);
  const stream = embedder.openStream();
  await stream.header(planned.header);
  for (let at = 0; at < 3_000_000; at += 1_000_000) await stream.chunk(0, at, new Uint8Array(1_000_000));
  const outcomes = await inTime(stream.finish(), "the outcomes");
  assertError(t, outcomes[0]?.outcome, { reason: "WORKER_LOST", message: workerLost });
});

test("while the only worker is replaced a stream is refused, and gives its memory back", async (t) => {
  const embedder = await startFaulty(t, faultyBackend("exit"));
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(1)));
  await inTime(stream.finish(), "the outcomes");
  await assertRefused(t, () => embedder.openStream(), {
    kind: "unavailable",
    reason: "BACKEND_UNAVAILABLE",
    message: "no projection worker is running now; try again in a moment",
  });
  t.is(embedder.memory.reservedBytes, 0);
  t.is(embedder.memory.openStreams, 0);
  await until(() => canOpen(embedder), "another worker takes its place");
});

for (const [title, url, message] of [
  ["fails while it starts", faultyBackend("start"), /does not start: this backend never starts$/],
  ["ends its thread while it starts", faultyBackend("start-exit"), /does not start: its thread ended with code 3$/],
  ["does not exist", new URL("./no-such-module.js", import.meta.url), /does not start: Cannot find module/],
] as const) {
  test(`a backend that ${title} is unavailable`, async (t) => {
    const root = await createTemporaryFolder(t);
    const starting = startEmbedder({ catalogue: openCatalogue(root), computeModule: url, workerCount: 2 });
    await assertRefused(t, () => inTime(starting, "the start"), {
      kind: "unavailable",
      reason: "BACKEND_UNAVAILABLE",
      message,
    });
  });
}

test("workers start whatever the command line says of the script, and do not keep the process from ending", async (t) => {
  const root = await createTemporaryFolder(t);
  const words = `
    import { openCatalogue } from "${new URL("../../src/experts/catalogue.js", import.meta.url)}";
    import { startEmbedder } from "${new URL("../../src/search/embedder.js", import.meta.url)}";
    const catalogue = openCatalogue(${JSON.stringify(root)});
    const { workerCount } = await startEmbedder({ catalogue, backend: "plain", workerCount: 2 });
    console.log(workerCount, "idle");`;
  const args = ["--input-type=module", "-e", words];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  t.is(stdout, "2 idle\n");
});

test("an embedder that closes ends its streams", async (t) => {
  const embedder = await startFaulty(t, faultyBackend("none", { delayMs: 50 }));
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(1)));
  const finishing = stream.finish();
  await embedder.close();
  const [outcome] = await inTime(finishing, "the outcomes");
  assertError(t, outcome?.outcome, {
    kind: "unavailable",
    reason: "SHUTTING_DOWN",
    message: "the projection workers are shutting down; send the model again",
  });
  t.throws(() => toEmbedding(outcome));
});

test("streams spread over the workers, and one that dies takes only its own along", async (t) => {
  const embedder = await startFaulty(t, faultyBackend("exit"), 2);
  const [dying, other] = [embedder.openStream(), embedder.openStream()];
  await sendModel(dying, await planTestModel(embedder, smallModel(1)));
  const outcomes = await inTime(dying.finish(), "the outcomes");
  assertError(t, outcomes[0]?.outcome, { reason: "WORKER_LOST", message: workerLost });
  await other.header((await planTestModel(embedder, smallModel(2))).header);
  const [outcome] = await inTime(other.finish(), "the other outcomes");
  assertError(t, outcome?.outcome, { reason: "FOOTER_MISSING", message: /model 2/ });
});
