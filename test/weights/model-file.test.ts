import { mkdir, mkdtemp, rm, unlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import {
  CorruptDataError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
} from "../../src/errors/probestream-error.js";
import { type ModelFile, openModel } from "../../src/weights/model-file.js";
import { parseModelIndex } from "../../src/weights/model-index.js";
import { encodeSafetensors } from "../../src/weights/safetensors-writer.js";
import { countedBytes, toIndexBytes, toModelBytes } from "./model-files.js";
import { serveRange, startRangeServer } from "./range-server.js";

async function toFolder(t: ExecutionContext, files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-"));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  return folder;
}

async function collect(model: ModelFile, name: string, begin: number, end: number, chunkBytes: number) {
  const pieces: Uint8Array[] = [];
  for await (const piece of model.streamTensor(name, begin, end, { chunkBytes })) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

const shardFiles = {
  "m.safetensors.index.json": toIndexBytes({ a: "one.safetensors", b: "two & #.safetensors", c: "one.safetensors" }),
  "one.safetensors": toModelBytes({ a: { shape: [3, 4], start: 0 }, c: { shape: [2], start: 50 } }, { format: "pt" }),
  "two & #.safetensors": toModelBytes({ b: { shape: [700, 100], start: 100 }, extra: { shape: [1], start: 0 } }),
};

async function assertShards(t: ExecutionContext, model: ModelFile): Promise<void> {
  t.deepEqual([...model.tensors.keys()], ["a", "c", "b"]);
  t.deepEqual(model.tensors.get("b"), { name: "b", dtype: "F32", shape: [700, 100] });
  t.deepEqual(
    [...model.metadata],
    [
      ["total_size", "12"],
      ["format", "pt"],
    ],
  );
  t.regex(model.identity, /^[0-9a-f]{64}$/);
  const b = countedBytes([700, 100], 100);
  for (const chunkBytes of [1001, 4096, 1_048_576]) {
    t.deepEqual(await collect(model, "b", 12, 279_996, chunkBytes), b.slice(12, 279_996));
  }
  t.deepEqual(await collect(model, "c", 0, 8, 1), countedBytes([2], 50));
}

test("a sharded model on disk is one model", async (t) => {
  const folder = await toFolder(t, shardFiles);
  const byFolder = await openModel(folder);
  const byIndex = await openModel(join(folder, "m.safetensors.index.json"));
  t.false(byFolder.remote);
  t.is(byFolder.identity, byIndex.identity);
  await assertShards(t, byFolder);
  await byFolder.close();
  await byIndex.close();
});

test("a sharded model behind a URL is one model", async (t) => {
  const files = Object.fromEntries(Object.entries(shardFiles).map(([name, bytes]) => [`/m/${name}`, bytes]));
  const server = await startRangeServer(files);
  t.teardown(() => server.close());
  const model = await openModel(`${server.origin}/m/m.safetensors.index.json?key=s3cret`);
  t.true(model.remote);
  t.is(model.location, `${server.origin}/m/m.safetensors.index.json`);
  t.is(server.requests.length, 3);
  await assertShards(t, model);
  await model.close();
});

test("a single file is opened by its path, its folder or its URL", async (t) => {
  const bytes = toModelBytes({ w: { shape: [2, 3], start: 1 } }, { base: "tiny" });
  const folder = await toFolder(t, { "w.safetensors": bytes });
  const server = await startRangeServer({ "/w.safetensors": bytes });
  t.teardown(() => server.close());
  for (const location of [folder, join(folder, "w.safetensors"), `${server.origin}/w.safetensors`]) {
    const model = await openModel(location);
    t.is(model.metadata.get("base"), "tiny");
    t.deepEqual(await collect(model, "w", 4, 24, 7), countedBytes([2, 3], 1).slice(4));
    await model.close();
  }
});

test("the identity stays while the file does, and changes with it", async (t) => {
  const folder = await toFolder(t, { "w.safetensors": toModelBytes({ w: { shape: [2], start: 1 } }) });
  const path = join(folder, "w.safetensors");
  const identify = async () => {
    const model = await openModel(path);
    await model.close();
    return model.identity;
  };
  const first = await identify();
  t.is(await identify(), first);
  await utimes(path, 5, 5);
  t.not(await identify(), first);
});

test("a model of more shards than files may be open streams each of them", async (t) => {
  const names = Array.from({ length: 40 }, (_, i) => `t${i}`);
  const files: Record<string, Uint8Array> = {
    "m.safetensors.index.json": toIndexBytes(Object.fromEntries(names.map((name) => [name, `${name}.safetensors`]))),
  };
  for (const [i, name] of names.entries()) {
    files[`${name}.safetensors`] = toModelBytes({ [name]: { shape: [2], start: i } });
  }
  const folder = await toFolder(t, files);
  const model = await openModel(folder);
  for (const [i, name] of names.entries()) {
    t.deepEqual(await collect(model, name, 0, 8, 8), countedBytes([2], i));
  }

  const open = names
    .slice(0, 16)
    .map((name) => model.streamTensor(name, 0, 8, { chunkBytes: 4 })[Symbol.asyncIterator]());
  for (const stream of open) await stream.next();
  const oneMore = collect(model, "t30", 0, 8, 8);
  await t.throwsAsync(oneMore, { instanceOf: LimitExceededError, message: /16 shards/ });
  for (const stream of open) await stream.return?.();
  t.deepEqual(await collect(model, "t30", 0, 8, 8), countedBytes([2], 30));

  await writeFile(join(folder, "t0.safetensors"), toModelBytes({ t0: { shape: [2], start: 9 } }));
  await utimes(join(folder, "t0.safetensors"), 9, 9);
  for (const name of names.slice(1, 20)) await collect(model, name, 0, 8, 8);
  await t.throwsAsync(collect(model, "t0", 0, 8, 8), { instanceOf: CorruptDataError, message: /has changed/ });
  await model.close();
});

test("tensors and ranges that a model does not have are refused", async (t) => {
  const folder = await toFolder(t, { "w.safetensors": toModelBytes({ w: { shape: [2], start: 1 } }) });
  const model = await openModel(folder);
  await t.throwsAsync(collect(model, "v", 0, 1, 8), { instanceOf: NotFoundError });
  await t.throwsAsync(collect(model, "w", 0, 9, 8), { instanceOf: InvalidInputError, message: /has 8/ });
  await model.close();
});

test("shards that do not fit their index are refused", async (t) => {
  const folder = await toFolder(t, shardFiles);
  const index = join(folder, "m.safetensors.index.json");
  const one = "one.safetensors";
  await writeFile(index, toIndexBytes({ a: one, zzz: one }));
  await t.throwsAsync(openModel(index), { instanceOf: CorruptDataError, message: /"zzz" is not in/ });
  await writeFile(
    join(folder, "three.safetensors"),
    toModelBytes({ a: { shape: [1], start: 0 }, d: { shape: [1], start: 0 } }),
  );
  await writeFile(index, toIndexBytes({ a: one, d: "three.safetensors" }));
  await t.throwsAsync(openModel(index), { instanceOf: CorruptDataError, message: /"a" is in two shards/ });
  await unlink(join(folder, "three.safetensors"));
  await t.throwsAsync(openModel(index), { instanceOf: NotFoundError, message: /three/ });
});

test("folders with no model or several say what they hold", async (t) => {
  const bytes = toModelBytes({ w: { shape: [1], start: 0 } });
  const several = await toFolder(t, { "a.safetensors": bytes, "b.safetensors": bytes });
  await t.throwsAsync(openModel(several), {
    instanceOf: InvalidInputError,
    message: /2 models.*a\.safetensors.*b\.safe/,
  });
  const none = await toFolder(t, { "readme.md": bytes });
  await t.throwsAsync(openModel(none), { instanceOf: NotFoundError, message: /no \.safetensors file/ });
  const pickled = await toFolder(t, { "pytorch_model.bin": Buffer.from("\x80\x02}q\x00.", "latin1") });
  await t.throwsAsync(openModel(pickled), { instanceOf: InvalidInputError, message: /pickled/ });
  await mkdir(join(none, "sub"));
  await t.throwsAsync(openModel(join(none, "sub", "x")), { instanceOf: NotFoundError });
});

test("an index whose shards are bare pickles is refused", async (t) => {
  const folder = await toFolder(t, {
    "pytorch_model.bin.index.json": toIndexBytes({ w: "pytorch_model-1.bin" }),
    "pytorch_model-1.bin": Buffer.from("\x80\x02}q\x00.", "latin1"),
  });
  const error = await t.throwsAsync(openModel(join(folder, "pytorch_model.bin.index.json")), {
    instanceOf: InvalidInputError,
  });
  t.is(error?.reason, "FORMAT_REFUSED");
});

for (const shard of ["../x", "a/b", "a\\b", "..", ".", "", "/etc/passwd", "C:x", "a\0b", "x".repeat(300), 7]) {
  test(`a shard may not be called ${JSON.stringify(shard).slice(0, 20)}`, (t) => {
    const error = t.throws(() => parseModelIndex(toIndexBytes({ w: shard }), "i"), { instanceOf: InvalidInputError });
    t.is(error?.reason, "HEADER_MALFORMED");
  });
}

test("an index that is none is refused", (t) => {
  for (const text of ["", "[]", "{}", '{"weight_map":[]}', '{"weight_map":{"a":"x","a":"y"}}', "\xff", "{"]) {
    t.throws(() => parseModelIndex(Buffer.from(text, "latin1"), "i"), { instanceOf: InvalidInputError });
  }
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`t${i}`, `s${i}`]));
  t.throws(() => parseModelIndex(toIndexBytes(many), "i"), { instanceOf: LimitExceededError });
});

test("a remote model whose server gives neither ETag nor date is another at each opening", async (t) => {
  const tensors = [{ name: "a", dtype: "F32", shape: [100_000], bytes: new Uint8Array(400_000) }];
  const file = encodeSafetensors(tensors);
  for (const [headers, isSame] of [
    [{}, false],
    [{ etag: '"v1"' }, true],
  ] as const) {
    const server = await startRangeServer({}, (request, response) => {
      serveRange(request, response, file, headers);
      return true;
    });
    t.teardown(() => server.close());
    const [first, second] = [
      await openModel(`${server.origin}/m.safetensors`),
      await openModel(`${server.origin}/m.safetensors`),
    ];
    t.is(first.identity === second.identity, isSame);
    await first.close();
    await second.close();
  }
});
