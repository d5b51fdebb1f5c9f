import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import type { Graph, GraphNode } from "../../src/onnx/graph.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import { type StartTextEncoderOptions, startTextEncoder } from "../../src/text/start-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { letterTokenizer, plainEcho, writeEchoEncoder, writeEncoder } from "../helpers/echo-encoder.js";
import { readClipCases, writeClipEncoder } from "../helpers/golden-clip.js";
import { relativeError } from "../helpers/oracle.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { inTime, until } from "../helpers/until.js";

async function startEcho(
  t: ExecutionContext,
  options: StartTextEncoderOptions = {},
): Promise<{ encoder: TextEncoder; folder: string }> {
  const folder = await createTemporaryFolder(t);
  await writeEchoEncoder(folder);
  const encoder = await startTextEncoder(folder, options);
  t.teardown(() => encoder.dispose());
  return { encoder, folder };
}

const extent = 512;

/** A model of one text that multiplies matrices of 512 × 512 so many times, one after another. */
function toSlowGraph(count: number): Graph {
  const products = Array.from({ length: count }, (_, index): GraphNode => {
    return { op: "MatMul", inputs: [`m${index}`, "matrix"], outputs: [`m${index + 1}`] };
  });
  return {
    name: "slow",
    inputs: [{ name: "input_ids", type: "int64", shape: [1, 3] }],
    outputs: [{ name: "text_embeds", type: "float32", shape: [1, extent] }],
    constants: [{ name: "matrix", shape: [extent, extent], values: new Float32Array(extent ** 2).fill(1 / extent) }],
    nodes: [
      { op: "Cast", inputs: ["input_ids"], outputs: ["real"], attributes: { to: { int: 1 } } },
      { op: "ReduceSum", inputs: ["real"], outputs: ["sum"], attributes: { keepdims: { int: 0 } } },
      { op: "Mul", inputs: ["matrix", "sum"], outputs: ["m0"] },
      ...products,
      {
        op: "ReduceMax",
        inputs: [`m${count}`],
        outputs: ["text_embeds"],
        attributes: { axes: { ints: [0] }, keepdims: { int: 1 } },
      },
    ],
  };
}

/** Does work while a timer runs: how long the work took, and the longest that the timer had to wait, in milliseconds. */
async function watchTimer(work: () => Promise<unknown>): Promise<{ took: number; longest: number }> {
  const startedAt = performance.now();
  let last = startedAt;
  let longest = 0;
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(tick, 5);
  await work();
  tick();
  clearInterval(timer);
  return { took: performance.now() - startedAt, longest };
}

test("timers fire while a long batch is encoded", async (t) => {
  const folder = await createTemporaryFolder(t);
  await writeEncoder(folder, toSlowGraph(60), letterTokenizer);
  const here = await openTextEncoder(folder);
  t.teardown(() => here.dispose());
  const blocking = await watchTimer(() => here.encode(["b"]));
  const encoder = await startTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  const { took, longest } = await watchTimer(() => encoder.encode(["b"]));
  t.log({ blocking, took, longest });
  t.true(took > 100);
  t.true(blocking.longest > 0.8 * blocking.took);
  t.true(longest < 0.5 * took);
});

test("a thread gives what its encoder gives", async (t) => {
  const folder = await createTemporaryFolder(t);
  await writeClipEncoder(folder);
  const encoder = await startTextEncoder(folder, { threads: 2 });
  t.teardown(() => encoder.dispose());
  const here = await openTextEncoder(folder);
  t.teardown(() => here.dispose());
  t.deepEqual([encoder.identity, encoder.width, encoder.maxTokens], [here.identity, 24, 77]);
  const cases = await readClipCases();
  const { values, truncated, unknown } = await encoder.encode(cases.map(({ text }) => text));
  const expected = Float64Array.from(cases.flatMap(({ text_embeds: embeds }) => embeds));
  t.true(relativeError(values, expected) < 1e-5);
  t.deepEqual(truncated, [{ index: 22, tokenCount: 152, maxTokens: 77 }]);
  t.deepEqual(unknown, []);
});

test("many callers are answered, each with its own texts", async (t) => {
  const { encoder } = await startEcho(t);
  const letters = ["a", "b", "c", "d"];
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, caller) =>
      encoder.encode(Array.from({ length: 1 + caller }, (_, index) => letters[(caller + index) % 4] ?? "")),
    ),
  );
  for (const [caller, { rows, columns, values }] of answers.entries()) {
    t.is(rows, 1 + caller);
    for (let row = 0; row < rows; row++) t.is(values[row * columns + 1], 4 + ((caller + row) % 4));
  }
});

test("a short request does not wait for the end of a long one", async (t) => {
  const { encoder } = await startEcho(t, { cacheBytes: 0 });
  const order: string[] = [];
  const long = encoder.encode(Array.from({ length: 20_000 }, () => "a")).then(() => order.push("long"));
  const short = encoder.encode(["b"]).then(() => order.push("short"));
  await Promise.all([long, short]);
  t.deepEqual(order, ["short", "long"]);
});

test("an aborted caller goes away at once, and the thread serves the others", async (t) => {
  const { encoder } = await startEcho(t, { cacheBytes: 0 });
  const stop = new AbortController();
  const long = encoder.encode(
    Array.from({ length: 50_000 }, () => "a"),
    { signal: stop.signal },
  );
  const other = encoder.encode(["d"]);
  stop.abort(new Error("enough"));
  await t.throwsAsync(long, { message: "enough" });
  t.deepEqual((await inTime(other, "the other caller")).values.subarray(0, 3), Float32Array.of(1, 7, 2));
  await t.throwsAsync(() => encoder.encode(["a"], { signal: AbortSignal.abort(new Error("early")) }), {
    message: "early",
  });
});

test("errors of the encoder reach the caller as they are", async (t) => {
  const { encoder } = await startEcho(t, { cacheBytes: 0 });
  await assertRefused(t, () => encoder.encode(["a", "  "]), {
    kind: "invalid-input",
    reason: "FIELD_INVALID",
    message: 'text 1 is empty: "  "; a text must hold more than white space',
  });
});

const faulty = new URL("../fixtures/faulty-encoder.js", import.meta.url);

for (const text of ["exit", "uncaught"]) {
  test(`a thread that dies at "${text}" fails what it was asked, and another takes its place`, async (t) => {
    const faults: unknown[] = [];
    const { encoder } = await startEcho(t, { encoderModule: faulty, onFault: (error) => faults.push(error) });
    const lost = {
      kind: "aborted",
      reason: "WORKER_LOST",
      message: "the worker thread that encoded texts died; ask again, another one is started",
    } as const;
    await assertRefused(t, () => inTime(encoder.encode([text]), text), lost);
    t.is((await inTime(encoder.encode(["a"]), "the thread that follows")).rows, 1);
    t.is(faults.length, 1);
  });
}

test("a thread that dies with its model gone tells so, and one with another model is refused", async (t) => {
  const { encoder, folder } = await startEcho(t, { encoderModule: faulty });
  await t.throwsAsync(() => inTime(encoder.encode(["exit"]), "the end"));
  await rm(join(folder, "model.onnx"));
  await assertRefused(t, () => encoder.encode(["a"]), { reason: "FILE_NOT_FOUND", message: /model\.onnx/ });
  await writeEncoder(folder, plainEcho(4), letterTokenizer);
  await assertRefused(t, () => encoder.encode(["a"]), {
    kind: "corrupt-data",
    reason: "CORRUPT",
    message: `the model in "${folder}" is another than when it was opened; open the encoder again`,
  });
  await writeEchoEncoder(folder);
  t.is((await encoder.encode(["a"])).rows, 1);
});

test("an encoder that does not open, and a thread that does not start, are told", async (t) => {
  const folder = await createTemporaryFolder(t);
  await assertRefused(t, () => startTextEncoder(folder), {
    kind: "not-found",
    reason: "FILE_NOT_FOUND",
    message: /tokenizer\.json/,
  });
  await assertRefused(t, () => startTextEncoder(folder, { encoderModule: new URL("?start-exit", faulty) }), {
    kind: "unavailable",
    reason: "BACKEND_UNAVAILABLE",
    message: `the thread of the text encoder in "${folder}" does not start: it ended`,
  });
  await assertRefused(t, () => startTextEncoder(folder, { cacheBytes: -1 }), {
    reason: "FIELD_INVALID",
    message: "cacheBytes is -1; it must be a whole number, at least 0",
  });
});

test("who waits when an encoder ends is told, and so is who comes later", async (t) => {
  const { encoder } = await startEcho(t, { cacheBytes: 0 });
  const long = encoder.encode(Array.from({ length: 50_000 }, () => "a"));
  long.catch(() => {});
  await delay(20);
  await inTime(encoder.dispose(), "the end");
  await encoder.dispose();
  const ended = {
    kind: "unavailable",
    reason: "SHUTTING_DOWN",
    message: "the text encoder is shutting down, or has ended; open it again",
  } as const;
  await assertRefused(t, () => long, ended);
  await assertRefused(t, () => encoder.encode(["a"]), ended);
  await until(() => !process.getActiveResourcesInfo().includes("MessagePort"), "no thread is left");
});
