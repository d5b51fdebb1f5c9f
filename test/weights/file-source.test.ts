import { mkdtemp, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { CorruptDataError, InvalidInputError, NotFoundError } from "../../src/errors/probestream-error.js";
import { openFileSource } from "../../src/weights/file-source.js";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "probestream-"));
});
test.after.always(() => rm(folder, { recursive: true }));

const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 0xff);

async function write(name: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test("a stream gives the bytes of a single read at every piece length", async (t) => {
  const source = await openFileSource(await write("whole"));
  const oracle = await source.read(13, 977);
  t.deepEqual(oracle, content.slice(13, 977));
  for (let chunkBytes = 1; chunkBytes <= 970; chunkBytes += chunkBytes < 20 ? 1 : 59) {
    const pieces: Uint8Array[] = [];
    for await (const piece of source.stream(13, 977, { chunkBytes })) pieces.push(piece);
    t.true(pieces.slice(0, -1).every((piece) => piece.length === chunkBytes));
    t.is(new Set(pieces.map((piece) => piece.buffer)).size, pieces.length);
    t.deepEqual(new Uint8Array(Buffer.concat(pieces)), oracle);
  }
  await source.close();
});

test("a file that does not exist is not found", async (t) => {
  const error = await t.throwsAsync(openFileSource(join(folder, "none")), { instanceOf: NotFoundError });
  t.is(error?.reason, "FILE_NOT_FOUND");
});

test("a folder is refused as one", async (t) => {
  await t.throwsAsync(openFileSource(folder), { instanceOf: InvalidInputError, message: /is a folder/ });
});

test("a file that shrinks while it is read is noticed", async (t) => {
  const path = await write("shrinks");
  const source = await openFileSource(path);
  await truncate(path, 500);
  t.deepEqual(await source.read(0, 500), content.slice(0, 500));
  const error = await t.throwsAsync(source.read(400, 600), {
    instanceOf: CorruptDataError,
    message: /ends at byte 500/,
  });
  t.is(error?.reason, "CORRUPT");
  await source.close();
});

test("a stream into one buffer gives the same bytes, each piece a view that the next overwrites", async (t) => {
  const path = join(folder, "into.bin");
  const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
  await writeFile(path, content);
  const source = await openFileSource(path);
  t.teardown(() => source.close());
  for (const length of [1, 7, 964, 4096]) {
    const buffer = new Uint8Array(length);
    const pieces: Uint8Array[] = [];
    const makeBuffer = (bytes: number): Uint8Array => buffer.subarray(0, bytes);
    for await (const piece of source.stream(13, 977, { chunkBytes: length, makeBuffer })) {
      t.is(piece.buffer, buffer.buffer);
      pieces.push(piece.slice());
    }
    t.deepEqual(new Uint8Array(Buffer.concat(pieces)), content.slice(13, 977));
  }
  await t.throwsAsync(
    async () => {
      for await (const _ of source.stream(0, 10)) await writeFile(path, new Uint8Array(1001));
    },
    { instanceOf: CorruptDataError },
  );
});

test("a file that is written to while it is streamed is noticed", async (t) => {
  const path = await write("changes");
  const source = await openFileSource(path);
  await utimes(path, 1, 1);
  const read = async () => {
    for await (const _ of source.stream(0, 10));
  };
  await t.throwsAsync(read, { instanceOf: CorruptDataError, message: /written to/ });
  await source.close();
});

test("ranges and piece lengths that make no sense are refused", async (t) => {
  const source = await openFileSource(await write("ranges"));
  for (const [begin, end] of [
    [-1, 5],
    [5, 4],
    [0, 1001],
    [0.5, 3],
    [0, Number.NaN],
  ] as const) {
    await t.throwsAsync(source.read(begin, end), { instanceOf: InvalidInputError });
  }
  for (const chunkBytes of [0, -1, 1.5, 2 ** 30]) {
    const read = async () => {
      for await (const _ of source.stream(0, 10, { chunkBytes }));
    };
    await t.throwsAsync(read, { instanceOf: InvalidInputError, message: /chunkBytes/ });
  }
  await source.close();
});

test("an aborted stream throws the signal's reason", async (t) => {
  const source = await openFileSource(await write("aborts"));
  const controller = new AbortController();
  const reason = new Error("enough");
  const read = async () => {
    for await (const _ of source.stream(0, 1000, { chunkBytes: 10, signal: controller.signal }))
      controller.abort(reason);
  };
  t.is(await t.throwsAsync(read), reason);
  await source.close();
});
