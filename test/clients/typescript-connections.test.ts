import test from "ava";
import { startSilentLink } from "../../clients/conformance/faulty-link.js";
import { connect, InvalidInputError } from "../../clients/typescript/src/index.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { startTestServer } from "../helpers/rpc-server.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const noTargets: readonly unknown[] = [
  ...["", "127.0.0.1", "localhost", "::1", ":50051", "host:", "host:0", "host:65536", "host:port", "a b:1", "unix:"],
  ...["http://127.0.0.1:50051", "https://models.example.org", "127.0.0.1:50051/", "me@host:1", 50051, null],
];
for (const target of noTargets) {
  test(`the target ${JSON.stringify(target)} is refused at once`, (t) => {
    const message = /^the target is .*; give HOST:PORT, such as 127\.0\.0\.1:50051/;
    const error = t.throws(() => connect(target as string), { instanceOf: InvalidInputError, message });
    t.is(error?.message.includes("without http"), String(target).startsWith("http"));
  });
}

test("targets with a port or a scheme of gRPC are taken", (t) => {
  for (const target of [
    "models.example.org:443",
    "10.0.0.1:1",
    "[::1]:65535",
    "dns:///host",
    "unix:/a",
    "ipv4:1.2.3.4:1",
  ])
    t.notThrows(() => connect(target).close(), target);
});

test("a server that speaks no TLS is told from one that is not there", async (t) => {
  const server = await startTestServer([], { backend: "plain" });
  t.teardown(() => server.close());
  const client = connect(server.target, { tls: true, retries: 0 });
  t.teardown(() => client.close());
  await assertRefused(t, () => client.serverInfo(), {
    kind: "unavailable",
    reason: "SOURCE_UNAVAILABLE",
    message: /^the server 127\.0\.0\.1:\d+ speaks no TLS, and this client does; leave `tls` out/,
  });
});

test("a server that is silent until the deadline is said to have given no answer", async (t) => {
  const silent = await startSilentLink();
  t.teardown(() => silent.stop());
  const client = connect(silent.target, { deadlineMs: 300 });
  t.teardown(() => client.close());
  await assertRefused(t, () => client.serverInfo(), {
    kind: "aborted",
    reason: "STREAM_IDLE",
    message: /did not answer before the call's deadline/,
  });
});

for (const local of [false, true]) {
  test(`a server that never says a word ends an upload at one deadline of the connection, local: ${local}`, async (t) => {
    const silent = await startSilentLink();
    t.teardown(() => silent.stop());
    const client = connect(silent.target, { deadlineMs: 300 });
    t.teardown(() => client.close());
    const probes = await createTemporaryFolder(t);
    const model = { arrays: { a: { shape: [1], data: Float32Array.of(1) } } };
    const refusal = {
      kind: "aborted",
      reason: "STREAM_IDLE",
      message: /did not answer before the call's deadline/,
    } as const;
    const begin = performance.now();
    await assertRefused(t, () => client.embed(model, { local, probes }), refusal);
    // More than one batch of plans: the others need not find out for themselves.
    await assertRefused(
      t,
      () =>
        client.embed(
          Array.from({ length: 600 }, () => model),
          { local, probes },
        ),
      refusal,
    );
    const tookMs = performance.now() - begin;
    // Seven attempts with their pauses took 8 s and more, each.
    t.true(tookMs < 5000, `${tookMs} ms`);
  });
}

test("every call of a client that was closed says so at once", async (t) => {
  const client = connect("127.0.0.1:1");
  await client.close();
  const record = { modelId: "a", representation: Float32Array.of(1) };
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    experts: () => client.experts(),
    getExpert: () => client.getExpert("a"),
    serverInfo: () => client.serverInfo(),
    embed: () => client.embed({ arrays: { a: { shape: [1], data: Float32Array.of(1) } } }),
    embedLocal: () => client.embed("a", { local: true }),
    route: () => client.route({ arrays: { a: { shape: [1], data: Float32Array.of(1) } } }),
    retrieve: () => client.retrieve("red"),
    classify: () => client.classify({ modelId: "a" }),
    findDuplicates: () => client.findDuplicates("a"),
    spaces: () => client.spaces(),
    get: () => client.get("a"),
    list: () => client.list().next(),
    update: () => client.update("a", { set: { a: 1 } }),
    delete: () => client.delete("a"),
    export: () => client.export().next(),
    importRecords: () => client.importRecords([record], { spaceId: "a" }),
    dropSpace: () => client.dropSpace("a"),
  };
  const begin = Date.now();
  for (const [name, call] of Object.entries(calls)) {
    t.log(name);
    await assertRefused(t, call, {
      kind: "unavailable",
      reason: "SHUTTING_DOWN",
      message: /the client is closed; connect anew/,
    });
  }
  t.true(Date.now() - begin < 1000, `${Date.now() - begin} ms`);
});
