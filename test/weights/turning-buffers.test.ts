import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ByteSource } from "../../src/weights/byte-source.js";
import { openFileSource } from "../../src/weights/file-source.js";
import { openHttpSource } from "../../src/weights/http-source.js";
import { createMemorySource } from "../../src/weights/memory-source.js";
import { createTurningBuffers } from "../../src/weights/turning-buffers.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { startRangeServer } from "./range-server.js";

const content = Uint8Array.from({ length: 5003 }, (_, i) => i % 251);

const sources: Readonly<Record<string, (t: ExecutionContext) => Promise<ByteSource>>> = {
  "a file": async (t) => {
    const path = join(await createTemporaryFolder(t), "content");
    await writeFile(path, content);
    return openFileSource(path);
  },
  "a URL": async (t) => {
    // What lies in the start of a file is read with its length; the rest comes in pieces of the network.
    const server = await startRangeServer({ "/content": content });
    t.teardown(() => server.close());
    return openHttpSource(`${server.origin}/content`);
  },
  memory: async () => createMemorySource([content.slice(0, 1000), content.slice(1000)], "content"),
};

for (const [name, open] of Object.entries(sources)) {
  test(`pieces of ${name} take turns in two buffers, and one holds while the next is read`, async (t) => {
    const source = await open(t);
    t.teardown(() => source.close());
    for (const chunkBytes of [1, 7, 1000, 2500, 4990, 6000]) {
      const makeBuffer = createTurningBuffers();
      const pieces = source.stream(13, 5003, { chunkBytes, makeBuffer })[Symbol.asyncIterator]();
      const buffers = new Set<ArrayBufferLike>();
      let at = 13;
      for (let next = pieces.next(); ; ) {
        const { done, value } = await next;
        if (done === true) break;
        next = pieces.next();
        await next;
        buffers.add(value.buffer);
        t.deepEqual(Buffer.from(value), Buffer.from(content.subarray(at, at + chunkBytes)));
        at += value.length;
      }
      t.is(at, 5003);
      t.is(buffers.size, Math.min(2, Math.ceil(4990 / chunkBytes)));
    }
  });
}

test("a buffer grows to the piece that needs it, and holds smaller ones", (t) => {
  const make = createTurningBuffers();
  const lengths = [3, 10, 5, 0, 12, 10];
  const made = lengths.map((length) => make(length));
  t.deepEqual(
    made.map(({ length }) => length),
    lengths,
  );
  t.is(made[1]?.buffer, made[5]?.buffer);
  t.not(made[0]?.buffer, made[1]?.buffer);
});
