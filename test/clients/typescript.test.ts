import { execFile } from "node:child_process";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import test from "ava";
import { startDelayProxy } from "../../bench/delay-proxy.js";
import { repositoryRoot } from "../../bench/repository-root.js";
import { findDeadTarget, startSilentLink } from "../../clients/conformance/faulty-link.js";
import { connect, InvalidInputError, type Model, NotFoundError } from "../../clients/typescript/src/index.js";
import { unpackTree } from "../../scripts/demo-zoo/packed-tree.js";
import { makeExample } from "../../scripts/example.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { startServer } from "../../src/rpc/server.js";
import { startTextEncoder } from "../../src/text/start-text-encoder.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { readFencedBlocks } from "../docs/fenced-blocks.js";
import { installClient } from "../helpers/install-client.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("the quick start of the TypeScript client prints what it says, with the package alone", async (t) => {
  const folder = await createTemporaryFolder(t);
  await Promise.all([installClient(folder), makeExample(join(folder, "example"))]);
  const server = await startServer({
    catalogue: openCatalogue(join(folder, "example", "experts")),
    backend: "onnx",
    workerCount: 1,
    store: createMemoryStore(),
  });
  t.teardown(() => server.close(0));
  const encoder = await startTextEncoder(join(repositoryRoot, "demo/text-encoder"));
  t.teardown(() => encoder.dispose());
  const demo = await startServer({
    catalogue: openCatalogue(join(repositoryRoot, "demo/experts")),
    backend: "onnx",
    workerCount: 1,
    store: createMemoryStore(),
    encoders: [encoder],
  });
  t.teardown(() => demo.close(0));
  await unpackTree(join(repositoryRoot, "demo/loras.safetensors"), join(folder, ".cache/demo/loras"), ["test_holdout"]);
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, "cache") };
  const printed = new Map<string, string>();
  for (const { language, text } of await readFencedBlocks("clients/typescript/README.md")) {
    if (language !== "js") continue;
    const [, name = ""] = /^\/\/ (\S+\.mjs)\n/.exec(text) ?? [];
    const own = text.replace("127.0.0.1:50051", `127.0.0.1:${server.port}`);
    await writeFile(join(folder, name), own.replace("127.0.0.1:50052", `127.0.0.1:${demo.port}`));
    const { stdout } = await promisify(execFile)(process.execPath, [name], { cwd: folder, env, timeout: 30_000 });
    printed.set(name, stdout);
  }
  t.deepEqual([...printed.keys()], ["embed.mjs", "search.mjs", "words.mjs", "error.mjs", "arrays.mjs", "local.mjs"]);
  const readme = await readFile(join(repositoryRoot, "clients/typescript/README.md"), "utf8");
  for (const name of ["embed.mjs", "words.mjs", "error.mjs", "arrays.mjs", "local.mjs"]) {
    t.true(readme.includes(`\n\`\`\`\n${printed.get(name)}\`\`\`\n`), printed.get(name));
  }
  t.regex(String(await readdir(join(folder, "cache", "probestream", "probes"))), /^[0-9a-f]{64}\.safetensors$/);
  const lines = printed.get("search.mjs")?.trim().split("\n") ?? [];
  t.is(lines.length, 25);
  t.deepEqual(new Set(lines.at(-1)?.split(" ")), new Set(["jazz-lora-2", "jazz-lora-3"]));

  // Without yauzl in reach, a checkpoint of PyTorch is refused with what to do.
  await copyFile(join(repositoryRoot, "test/fixtures/torch/state-dict.bin"), join(folder, "model.pt"));
  const words = `import { connect } from "@probestream/client";
    const client = connect("127.0.0.1:${server.port}");
    await client.embed("model.pt").catch((error) => console.log(error.reason, error.message));
    await client.close();`;
  await writeFile(join(folder, "torch.mjs"), words);
  const { stdout } = await promisify(execFile)(process.execPath, ["torch.mjs"], { cwd: folder, timeout: 30_000 });
  t.regex(stdout, /^FORMAT_REFUSED .*npm install yauzl/);
});

test("of one model the error is thrown, of several it stands in its place, whatever is wrong with it", async (t) => {
  const folder = await createTemporaryFolder(t);
  await makeExample(join(folder, "example"));
  const server = await startServer({
    catalogue: openCatalogue(join(folder, "example", "experts")),
    backend: "onnx",
    workerCount: 1,
  });
  t.teardown(() => server.close(0));
  const client = connect(`127.0.0.1:${server.port}`);
  t.teardown(() => client.close());
  const good = join(folder, "example/models/jazz-lora-1.safetensors");
  const bad: readonly { readonly model: Model; readonly message: RegExp }[] = [
    { model: join(folder, "missing.safetensors"), message: /There is no file/ },
    { model: {} as Model, message: /given as an object with nothing; give a path or URL, bytes/ },
    { model: 42 as unknown as Model, message: /given as number; give a path or URL/ },
    { model: new Uint8Array(4), message: /"model \d in memory"/ },
    {
      model: { arrays: { a: { shape: [2], data: new Uint16Array(2) } } },
      message: /Uint16Array with the dtype left out/,
    },
    {
      model: { arrays: { a: { shape: [3], data: new Float32Array(2) } } },
      message: /"a" has 8 bytes, which F32 of shape/,
    },
  ];
  for (const { model, message } of bad) await t.throwsAsync(client.embed(model), { message });

  const models = [...bad.map(({ model }) => model), good, await readFile(good), new URL("data:,x")];
  const results = await client.embed(models);
  t.is(results.length, models.length);
  for (const [at, { message }] of bad.entries()) {
    const result = results[at];
    t.true(result instanceof Error && message.test(result.message), String(result));
  }
  const [fromFile, fromBytes, fromData] = results.slice(bad.length);
  if (fromFile instanceof Error || fromBytes instanceof Error || fromFile === undefined || fromBytes === undefined) {
    return t.fail(String(fromFile ?? fromBytes));
  }
  t.deepEqual(fromBytes.representation, fromFile.representation);
  t.is(fromBytes.weightsHash, fromFile.weightsHash);
  t.true(fromData instanceof Error);
  t.deepEqual(await client.embed([]), []);

  await t.throwsAsync(client.getExpert("nobody"), { instanceOf: NotFoundError });
  const controller = new AbortController();
  const onProgress = (): void => controller.abort(new Error("enough"));
  await t.throwsAsync(client.embed(good, { signal: controller.signal, onProgress }), { message: "enough" });
  const complaint = (): void => {
    throw new Error("my listener");
  };
  await t.throwsAsync(client.embed(good, { onProgress: complaint }), { message: "my listener" });
  const stopped = AbortSignal.abort(new Error("too late"));
  await t.throwsAsync(client.findDuplicates("a", { signal: stopped }), { message: "too late" });
  const silent = await startSilentLink();
  t.teardown(() => silent.stop());
  const waiting = connect(silent.target);
  t.teardown(() => waiting.close());
  const soon = new AbortController();
  void setTimeout(50).then(() => soon.abort(new Error("no more")));
  await t.throwsAsync(waiting.retrieve("jazz", { signal: soon.signal }), { message: "no more" });
  await t.throwsAsync(client.embed(good, { texts: [[1, 2], [3]] }), { message: /text vector 1 has 1 numbers/ });
});

test("keys that are paths, tokens in the clear and tokens that no header can hold are refused at once", (t) => {
  const refused = (options: Parameters<typeof connect>[1], message: RegExp): void => {
    t.throws(() => connect("models.example.org:443", options), { instanceOf: InvalidInputError, message });
  };
  refused({ tls: { authority: "ca.pem" } }, /tls.authority is no PEM text; give the content of the file/);
  refused({ tls: { certificate: "-----BEGIN CERTIFICATE-----" } }, /go together/);
  refused({ token: "secret" }, /unencrypted, for all to read; connect with tls/);
  refused({ token: "se cret", tls: true }, /characters that a header cannot hold/);
  refused({ token: "secret\n", tls: true }, /^the token holds a line break, .*; give it without its line end$/);
  refused({ token: "", tls: true }, /^the token is empty; leave it out for a server that wants none$/);
  for (const target of [
    "127.example.org:1",
    "127.0.0.1.example.org:1",
    "localhost.example.org:1",
    "ipv4:127.0.0.1:1,10.0.0.1:1",
  ])
    t.throws(() => connect(target, { token: "secret" }), { message: /unencrypted, for all to read/ }, target);
  for (const target of ["localhost:1", "127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "dns:///localhost:1", "unix:/a"])
    t.notThrows(() => connect(target, { token: "secret" }).close(), target);
});

test("a call that reads waits for a server that is not there yet, one that writes does not", async (t) => {
  const folder = await createTemporaryFolder(t);
  const server = await startServer({ catalogue: openCatalogue(folder), backend: "plain", workerCount: 1 });
  t.teardown(() => server.close(0));
  // A server takes its time to start on a busy machine; what passes calls on to one is there at once.
  const target = await findDeadTarget();
  const client = connect(target);
  t.teardown(() => client.close());
  await t.throwsAsync(client.delete("anything"), { message: /cannot be reached/ });
  const waiting = client.serverInfo();
  await setTimeout(100);
  const [, port] = target.split(":");
  const proxy = await startDelayProxy({ target: `127.0.0.1:${server.port}`, rttMs: 0, port: Number(port) });
  t.teardown(() => proxy.stop());
  t.is((await waiting).backends.length > 0, true);

  const hasty = connect("127.0.0.1:1", { retries: 0 });
  t.teardown(() => hasty.close());
  const begin = Date.now();
  await t.throwsAsync(hasty.serverInfo(), { message: /cannot be reached/ });
  t.true(Date.now() - begin < 1000);
});
