import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Health } from "../../src/gen/health/v1/health_pb.js";
import { file_probestream_v1_catalogue_service } from "../../src/gen/probestream/v1/catalogue_service_pb.js";
import { file_probestream_v1_embedding_service } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { file_probestream_v1_expert_service } from "../../src/gen/probestream/v1/expert_service_pb.js";
import { file_probestream_v1_retrieval_service } from "../../src/gen/probestream/v1/retrieval_service_pb.js";
import { file_probestream_v1_server_service } from "../../src/gen/probestream/v1/server_service_pb.js";
import { connect } from "../../src/rpc/client.js";
import { encodeChunk } from "../../src/rpc/encode-chunk.js";
import { embedFiles, type FileOutcome } from "../../src/search/embed-files.js";
import { encodeSafetensors } from "../../src/weights/safetensors-writer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { relativeError } from "../helpers/oracle.js";
import { type CallFailure, toFailure } from "../helpers/rpc-client.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { exactRepresentation, smallExpert, smallLayer, smallModel, smallWeights } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { until } from "../helpers/until.js";

interface Context {
  server: TestServer;
  client: Client;
}

const test = anyTest as TestFn<Context>;

const token = "right-token-0123456789";
const wrong = "wrong-token-0123456789";
const small = { name: "small", module: "m.fc", shape: [smallLayer.rows, smallLayer.columns], seed: 11 } as const;
const uploadPath = "/probestream.v1.EmbeddingService/EmbedModel";

test.before(async (t) => {
  const server = await startTestServer([small], { tokens: ["another-token-0123456789", token] });
  t.context = { server, client: new Client(server.target, credentials.createInsecure()) };
});

test.after.always(async (t) => {
  t.context.client.close();
  await t.context.server.close();
});

/** What a call comes to: the number of answers, and how it failed. */
interface Outcome {
  readonly answers: number;
  readonly failure: CallFailure | undefined;
}

/** Makes a call of any kind: on the wire all are streams. Without messages it is left open. */
function call(client: Client, path: string, authorization?: string, ...messages: readonly Buffer[]): Promise<Outcome> {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set("authorization", authorization);
  const identity = (bytes: Buffer): Buffer => bytes;
  const options = { deadline: Date.now() + 10_000 };
  const stream = client.makeBidiStreamRequest(path, identity, identity, metadata, options);
  let answers = 0;
  let failure: CallFailure | undefined;
  stream.on("data", () => {
    answers++;
  });
  stream.on("error", (error: ServiceError) => {
    failure = toFailure(error);
  });
  for (const message of messages) stream.write(message);
  if (messages.length > 0) stream.end();
  return new Promise((resolve) => {
    stream.on("status", () => resolve({ answers, failure }));
  });
}

function assertUnauthenticated(t: ExecutionContext<Context>, { answers, failure }: Outcome, reason: string): void {
  t.is(answers, 0);
  t.is(failure?.code, status.UNAUTHENTICATED);
  t.is(failure?.info?.reason, reason);
  t.is(failure?.info?.domain, "probestream.dev");
  t.is(failure?.details?.code, status.UNAUTHENTICATED);
  t.deepEqual(failure?.info?.metadata, {});
  for (const text of [failure?.message, JSON.stringify(failure?.details)]) t.false(text?.includes(wrong) ?? true);
}

const empty = Buffer.alloc(0);
const paths = [
  file_probestream_v1_embedding_service,
  file_probestream_v1_expert_service,
  file_probestream_v1_retrieval_service,
  file_probestream_v1_catalogue_service,
  file_probestream_v1_server_service,
].flatMap(({ services }) =>
  services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `/${typeName}/${name}`)),
);
const reflectionPaths = ["v1", "v1alpha"].map((v) => `/grpc.reflection.${v}.ServerReflection/ServerReflectionInfo`);

for (const path of [...paths, ...reflectionPaths]) {
  test(`${path} wants a token`, async (t) => {
    const { client } = t.context;
    assertUnauthenticated(t, await call(client, path, undefined, empty), "TOKEN_MISSING");
    assertUnauthenticated(t, await call(client, path, `Bearer ${wrong}`, empty), "TOKEN_INVALID");
    const { failure } = await call(client, path, `Bearer ${token}`, empty);
    t.not(failure?.code, status.UNAUTHENTICATED);
    t.not(failure?.code, status.UNIMPLEMENTED);
  });
}

test("the paths above are those of all services", (t) => {
  t.true(paths.length >= 20);
  t.true(paths.includes(uploadPath));
});

test("reflection answers one who brings a token", async (t) => {
  const listServices = Buffer.from([0x3a, 1, 0x2a]);
  for (const path of reflectionPaths) {
    t.deepEqual(await call(t.context.client, path, `Bearer ${token}`, listServices), {
      answers: 1,
      failure: undefined,
    });
  }
});

test("health answers without a token, and with a wrong one", async (t) => {
  const path = `/${Health.typeName}/${Health.method.check.name}`;
  for (const authorization of [undefined, `Bearer ${wrong}`]) {
    t.deepEqual(await call(t.context.client, path, authorization, empty), { answers: 1, failure: undefined });
  }
});

const infoPath = "/probestream.v1.ServerService/GetServerInfo";
for (const [authorization, reason] of [
  ["", "TOKEN_MISSING"],
  [token, "TOKEN_MISSING"],
  ["Bearer", "TOKEN_MISSING"],
  [`Basic ${token}`, "TOKEN_MISSING"],
  [`Bearer ${token} ${token}`, "TOKEN_MISSING"],
  [`Bearer ${token}0`, "TOKEN_INVALID"],
  [`Bearer ${token.slice(0, -1)}`, "TOKEN_INVALID"],
  [`Bearer ${token.toUpperCase()}`, "TOKEN_INVALID"],
  [`Bearer ${"x".repeat(8000)}`, "TOKEN_INVALID"],
] as const) {
  test(`authorization "${authorization.slice(0, 60)}" is refused: ${reason}`, async (t) => {
    assertUnauthenticated(t, await call(t.context.client, infoPath, authorization, empty), reason);
  });
}

test("the word before the token may be written in any case", async (t) => {
  for (const scheme of ["bearer", "BEARER"]) {
    t.is((await call(t.context.client, infoPath, `${scheme} ${token}`, empty)).answers, 1);
  }
});

test("an upload is refused before its first message is read", async (t) => {
  const { client, server } = t.context;
  const malformed = Buffer.from([0xff, 0xff, 0xff]);
  t.is((await call(client, uploadPath, `Bearer ${token}`, malformed)).failure?.code, status.INTERNAL);
  assertUnauthenticated(t, await call(client, uploadPath, undefined, malformed), "TOKEN_MISSING");
  assertUnauthenticated(t, await call(client, uploadPath, `Bearer ${wrong}`), "TOKEN_INVALID");
  const chunks = Array.from({ length: 32 }, (_, i) => encodeChunk(0, i * 2 ** 20, new Uint8Array(2 ** 20)));
  assertUnauthenticated(t, await call(client, uploadPath, `Bearer ${wrong}`, ...chunks), "TOKEN_INVALID");
  await until(() => server.embedder.memory.openStreams === 0, "no stream is open");
  t.deepEqual(server.faults, []);
});

/** Embeds a small model through a client; resolves to the representation. */
async function embed(client: ReturnType<typeof connect>, halfway: () => Promise<void> = async () => {}) {
  const weights = smallWeights(1);
  const name = "m.fc.weight";
  const tensors = new Map([[name, { name, dtype: "F32", shape: [smallLayer.rows, smallLayer.columns] }]]);
  const [plan] = await client.plan([{ modelId: "", uploadId: "", tensors, metadata: new Map(), experts: [] }]);
  if (plan === undefined || plan instanceof Error) throw plan ?? new Error("no plan");
  const stream = await client.open();
  await stream.header("", plan);
  await halfway();
  const bytes = Buffer.from(weights.values.buffer, weights.values.byteOffset, weights.values.byteLength);
  await stream.chunk(0, 0, bytes);
  await stream.footer(bytes.byteLength, new Uint8Array(0));
  const outcome = (await stream.finish()).results[0]?.outcome;
  if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error("no outcome");
  return outcome.embeddings[0]?.representation ?? new Float32Array(0);
}

test("a client that brings a token embeds; one that does not is told to, by an error of its own class", async (t) => {
  const { target } = t.context.server;
  const known = connect({ target, token });
  const expected = exactRepresentation(smallExpert, smallWeights(1));
  t.true(relativeError(await embed(known), expected) < 1e-5);
  await known.close();
  const refusals = [
    [
      undefined,
      "TOKEN_MISSING",
      /^this server wants a token, and the call brought none; give the client its token \(PROBESTREAM_TOKEN .*whose --token is for URLs\)$/,
    ],
    [wrong, "TOKEN_INVALID", /^the token is not one that this server takes;/],
  ] as const;
  for (const [given, reason, message] of refusals) {
    const stranger = connect({ target, token: given });
    await assertRefused(t, () => stranger.serverInfo(), { kind: "unauthenticated", reason, message });
    await assertRefused(t, () => embed(stranger), { kind: "unauthenticated", reason, message });
    await stranger.close();
  }
});

test("files are refused once for all by a server that does not take the token, not one by one", async (t) => {
  const folder = await createTemporaryFolder(t);
  const paths = Array.from({ length: 40 }, (_, i) => join(folder, `${i}.safetensors`));
  for (const [i, path] of paths.entries()) await writeFile(path, encodeSafetensors(smallModel(i).tensors));
  const client = connect({ target: t.context.server.target, token: wrong });
  t.teardown(() => client.close());
  const outcomes: FileOutcome[] = [];
  const run = async (): Promise<void> => {
    for await (const outcome of embedFiles(paths, client)) outcomes.push(outcome);
  };
  await assertRefused(t, run, {
    kind: "unauthenticated",
    reason: "TOKEN_INVALID",
    message: /not one that this server/,
  });
  t.deepEqual(outcomes, []);
});

test("a token that is taken away lets nothing more in; an upload under way goes on", async (t) => {
  const valid = new Set([token]);
  const server = await startTestServer([small], { tokens: { has: (each) => valid.has(each) } });
  const client = connect({ target: server.target, token });
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  const refusal = {
    kind: "unauthenticated",
    reason: "TOKEN_INVALID",
    message: /not one that this server takes/,
  } as const;
  const found = await embed(client, async () => {
    await until(() => server.embedder.memory.openStreams === 1, "the upload is under way");
    valid.clear();
    await assertRefused(t, () => client.serverInfo(), refusal);
  });
  t.true(relativeError(found, exactRepresentation(smallExpert, smallWeights(1))) < 1e-5);
  await assertRefused(t, () => embed(client), refusal);
});

test("a server without tokens lets in whoever brings one", async (t) => {
  const server = await startTestServer([]);
  const client = connect({ target: server.target, token });
  t.not((await client.serverInfo()).version, "");
  await client.close();
  await server.close();
});

test("no tokens, or short ones, are no tokens at all", async (t) => {
  await assertRefused(t, () => startTestServer([], { tokens: [] }), { reason: "FIELD_INVALID", message: /no token/ });
  await assertRefused(t, () => startTestServer([], { tokens: [token, "hunter2"] }), {
    reason: "FIELD_INVALID",
    message: /^tokens\[1\] has 7 characters; a token has 16 to 1024/,
  });
});
