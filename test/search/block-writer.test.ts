import test from "ava";
import fc from "fast-check";
import { rangeBytes, type StoredMatrix } from "../../src/projection/stored-matrix.js";
import { type BlockWriter, blockBytes, blocksPerStream, createBlockWriter } from "../../src/search/block-writer.js";
import type { BlockOperation } from "../../src/search/embed-messages.js";
import { randomBytes } from "../helpers/random.js";
import { cut, storedMatrix } from "../helpers/stored-layer.js";
import { inTime } from "../helpers/until.js";

interface Sent {
  readonly buffer: ArrayBuffer;
  readonly operations: readonly BlockOperation[];
}

/** A writer whose blocks come back as soon as the event loop turns. */
function createLoop(onBlock: (sent: Sent) => void): BlockWriter {
  const writer: BlockWriter = createBlockWriter((buffer, operations) => {
    onBlock({ buffer, operations });
    // Whoever still reads a block that was given back reads nonsense.
    setImmediate(() => {
      new Uint8Array(buffer).fill(0xee);
      writer.giveBack(buffer);
    });
  });
  return writer;
}

test("bytes come out as they went in, in pieces that lie aligned, whatever the chunks and the rows", async (t) => {
  const size = fc.integer({ min: 1, max: 300_000 });
  const tensors = fc.array(fc.tuple(size, fc.integer({ min: 1, max: 3000 })), { minLength: 1, maxLength: 4 });
  const chunk = fc.oneof(
    fc.integer({ min: 1, max: 64 }).map((n) => n * 997),
    fc.constantFrom(1 << 20, 4095),
  );
  await fc.assert(
    fc.asyncProperty(tensors, chunk, async (shapes, chunkBytes) => {
      const matrices = shapes.map(([columns, rows]) =>
        storedMatrix(Math.max(1, Math.min(rows, Math.floor(5e6 / columns))), columns, "F8_E4M3"),
      );
      const stored = matrices.map((matrix, i) => randomBytes(rangeBytes(matrix), i));
      const received = matrices.map((): Uint8Array[] => []);
      const order: number[] = [];
      const writer = createLoop(({ buffer, operations }) => {
        for (const operation of operations) {
          if (operation.op !== "bytes") continue;
          if (operation.at % 8 !== 0) t.fail(`a piece at ${operation.at}`);
          received[operation.tensor]?.push(new Uint8Array(buffer, operation.at, operation.length).slice());
          order.push(operation.tensor);
        }
      });
      for (const [tensor, matrix] of matrices.entries()) {
        let offset = 0;
        for (const bytes of cut(stored[tensor] ?? new Uint8Array(0), chunkBytes)) {
          await writer.write(tensor, matrix, offset, bytes);
          offset += bytes.byteLength;
        }
      }
      await writer.drain();
      t.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
      );
      for (const [i, pieces] of received.entries())
        t.is(Buffer.compare(Buffer.concat(pieces), stored[i] as Uint8Array), 0);
    }),
    { numRuns: 12 },
  );
});

test("rows longer than a block pass through it", async (t) => {
  const matrix: StoredMatrix = storedMatrix(2, 2 * blockBytes + 12_345, "F8_E4M3");
  const stored = randomBytes(rangeBytes(matrix), 4);
  const pieces: Uint8Array[] = [];
  const writer = createLoop(({ buffer, operations }) => {
    for (const one of operations)
      if (one.op === "bytes") pieces.push(new Uint8Array(buffer, one.at, one.length).slice());
  });
  await writer.write(0, matrix, 0, stored);
  await writer.drain();
  t.is(Buffer.compare(Buffer.concat(pieces), stored), 0);
});

test("operations and small models share a block", async (t) => {
  const blocks: string[] = [];
  const writer = createLoop(({ operations }) => blocks.push(operations.map(({ op }) => op).join(" ")));
  const matrix = storedMatrix(2, 10, "F8_E4M3");
  for (let model = 0; model < 3; model++) {
    await writer.push({
      op: "open",
      model,
      tensors: [matrix],
      targets: [],
      state: undefined,
      resumable: false,
      isRouted: false,
    });
    for (let at = 0; at < 20; at += 5) await writer.write(0, matrix, at, new Uint8Array(5));
    await writer.push({ op: "close", digest: undefined });
  }
  t.deepEqual(blocks, []);
  writer.flush();
  t.deepEqual(blocks, ["open bytes close open bytes close open bytes close"]);
  writer.flush();
  t.is(blocks.length, 1, "nothing is left to send");
});

test("no more blocks are under way than a stream has, and a writer waits for one", async (t) => {
  const sent: ArrayBuffer[] = [];
  const writer = createBlockWriter((buffer) => sent.push(buffer));
  const matrix = storedMatrix(10, blockBytes, "F8_E4M3");
  let done = false;
  const writing = writer.write(0, matrix, 0, new Uint8Array(10 * blockBytes)).then(() => {
    done = true;
  });
  for (let back = 0; back <= 10 - blocksPerStream; back++) {
    await new Promise((resolve) => setImmediate(resolve));
    t.is(sent.length, Math.min(10, blocksPerStream + back));
    t.is(done, back === 10 - blocksPerStream);
    writer.giveBack(sent[back] as ArrayBuffer);
  }
  await writing;
  t.true(writer.waitMs > 0);
});

test("a failure ends a write that waits and lets a drain go", async (t) => {
  const writer = createBlockWriter(() => {});
  const matrix = storedMatrix(10, blockBytes, "F8_E4M3");
  const writing = writer.write(0, matrix, 0, new Uint8Array(10 * blockBytes));
  const failure = new Error("the worker died");
  setImmediate(() => writer.fail(failure));
  t.is(await t.throwsAsync(inTime(writing, "the write")), failure);
  await t.notThrowsAsync(inTime(writer.drain(), "the drain"));
});

test("an operation that is pushed while a write waits hinders neither", async (t) => {
  const sent: Sent[] = [];
  const writer = createBlockWriter((buffer, operations) => sent.push({ buffer, operations }));
  const matrix = storedMatrix(8, blockBytes, "F8_E4M3");
  const writing = writer.write(0, matrix, 0, new Uint8Array(8 * blockBytes));
  await new Promise((resolve) => setImmediate(resolve));
  const pushing = writer.push({ op: "close", digest: undefined });
  let next = 0;
  const giving = setInterval(() => {
    for (; next < sent.length; next++) writer.giveBack((sent[next] as Sent).buffer);
  }, 1);
  t.teardown(() => clearInterval(giving));
  await inTime(Promise.all([writing, pushing]), "write and push");
  await inTime(writer.drain(), "the drain");
  const operations = sent.flatMap((block) => block.operations);
  t.is(operations.filter(({ op }) => op === "close").length, 1);
  t.is(
    operations.reduce((sum, one) => sum + (one.op === "bytes" ? one.length : 0), 0),
    8 * blockBytes,
  );
});
