import { spawn } from "node:child_process";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { connect } from "../../src/rpc/client.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { relativeError } from "../helpers/oracle.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { toDigest } from "../helpers/rpc-messages.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { layerColumns, layerExpert, layerRows, layerValues, sameResult } from "./layer.js";

interface Context {
  server: TestServer;
}

const test = anyTest as TestFn<Context>;

test.before(async (t) => {
  t.context = { server: await startTestServer([layerExpert]) };
});

test.after.always((t) => t.context.server.close());

/** Runs `buf curl` against a server that it knows nothing of but what reflection says. */
function bufCurl(
  input: string,
  ...args: readonly string[]
): Promise<{ code: number | null; out: string; error: string }> {
  const program = join(repositoryRoot, "node_modules/.bin/buf");
  const child = spawn(program, ["curl", "--protocol", "grpc", "--http2-prior-knowledge", ...args]);
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, error }));
  });
}

/** The parts of a plan and an answer that are read, as JSON has them. */
interface PlanJson {
  readonly plans: readonly {
    readonly planned: { readonly tensors: unknown; readonly uploadId: string; readonly targets: { spaceId: string }[] };
  }[];
}
interface AnswerJson {
  readonly results: readonly { readonly embedding: { readonly embeddings: { readonly representation: string }[] } }[];
}

test("buf curl lists the services through reflection", async (t) => {
  const { code, out, error } = await bufCurl("", "--list-services", `http://${t.context.server.target}`);
  t.is(code, 0, error);
  for (const service of [
    "EmbeddingService",
    "ExpertService",
    "RetrievalService",
    "CatalogueService",
    "ServerService",
  ]) {
    t.true(out.includes(`probestream.v1.${service}`), out);
  }
  t.true(out.includes("grpc.health.v1.Health"), out);
});

test("buf curl lists the methods through reflection", async (t) => {
  const { code, out, error } = await bufCurl("", "--list-methods", `http://${t.context.server.target}`);
  t.is(code, 0, error);
  t.true(out.includes("probestream.v1.EmbeddingService/EmbedModel"), out);
});

test("buf curl reads health", async (t) => {
  const url = `http://${t.context.server.target}/grpc.health.v1.Health/Check`;
  const { code, out, error } = await bufCurl("", "-d", '{"service":"probestream.v1.EmbeddingService"}', url);
  t.is(code, 0, error);
  t.deepEqual(JSON.parse(out), { status: "SERVING" });
});

test("buf curl is told what is wrong, with its reason", async (t) => {
  const url = `http://${t.context.server.target}/probestream.v1.ExpertService/GetExpert`;
  const { code, error } = await bufCurl("", "-d", '{"expert":"nobody"}', url);
  t.not(code, 0);
  t.true(error.includes('no expert \\"nobody\\" in the catalogue'), error);
  // It knows no google.rpc.ErrorInfo, and prints it as base64.
  const { details }: { details: { type: string; value: string }[] } = JSON.parse(error);
  t.is(details[0]?.type, "google.rpc.ErrorInfo");
  t.true(Buffer.from(details[0]?.value ?? "", "base64").includes("EXPERT_NOT_FOUND"), error);
});

test("buf curl plans and embeds a layer, with the result that the client gets", async (t) => {
  const { target, experts } = t.context.server;
  const service = `http://${target}/probestream.v1.EmbeddingService`;
  const tensor = { name: "layer.weight", dtype: "DTYPE_F32", shape: [layerRows, layerColumns] };
  const manifests = [{ modelId: "curl", tensors: [tensor] }];
  const planned = await bufCurl("", "-d", JSON.stringify({ manifests }), `${service}/PlanEmbedding`);
  t.is(planned.code, 0, planned.error);
  const { plans }: PlanJson = JSON.parse(planned.out);
  const plan = plans[0]?.planned;
  t.truthy(plan);

  const bytes = float32Bytes(layerValues);
  const half = 333;
  const chunk = (offset: number, data: Uint8Array) => ({
    chunk: { offset, data: Buffer.from(data).toString("base64") },
  });
  const messages = [
    {
      header: {
        modelId: "curl",
        uploadId: plan?.uploadId,
        tensors: plan?.tensors,
        spaceIds: plan?.targets.map(({ spaceId }) => spaceId),
      },
    },
    chunk(0, bytes.subarray(0, half)),
    chunk(half, bytes.subarray(half)),
    { footer: { totalBytes: bytes.byteLength, digest: Buffer.from(toDigest([bytes])).toString("base64") } },
  ];
  const input = messages.map((message) => JSON.stringify(message)).join("\n");
  const answered = await bufCurl(input, "-d", "@-", `${service}/EmbedModel`);
  t.is(answered.code, 0, answered.error);
  const { results }: AnswerJson = JSON.parse(answered.out);
  const representation = Buffer.from(results[0]?.embedding.embeddings[0]?.representation ?? "", "base64");
  const found = new Float32Array(new Uint8Array(representation).buffer);
  t.true(relativeError(found, await embed(target)) <= sameResult);
  const x = { rows: layerRows, columns: layerColumns, values: layerValues };
  t.true(relativeError(found, experts.get("small")?.represent(x) ?? []) <= 1e-5);
});

test("buf curl is told that an upload without a footer commits nothing", async (t) => {
  const { target } = t.context.server;
  const client = openRawClient(target);
  const { uploadId, targets } = await client.planOne({
    tensors: [{ name: "layer.weight", dtype: 2, shape: [BigInt(layerRows), BigInt(layerColumns)] }],
  });
  client.close();
  const bytes = layerRows * layerColumns * 4;
  const tensor = { name: "layer.weight", dtype: "DTYPE_F32", shape: [layerRows, layerColumns] };
  const header = {
    modelId: "curl",
    uploadId,
    tensors: [{ tensor, endByte: bytes }],
    spaceIds: targets.map(({ spaceId }) => spaceId),
  };
  const url = `http://${target}/probestream.v1.EmbeddingService/EmbedModel`;
  const { code, out, error } = await bufCurl(JSON.stringify({ header }), "-d", "@-", url);
  t.is(code, 0, error);
  t.true(out.includes("ERROR_REASON_FOOTER_MISSING"), out);
});

/** The representation that the package's own client gets. */
async function embed(target: string): Promise<Float32Array> {
  const client = connect({ target });
  try {
    const tensor = { name: "layer.weight", dtype: "F32", shape: [layerRows, layerColumns] };
    const [plan] = await client.plan([
      { modelId: "m", uploadId: "", tensors: new Map([[tensor.name, tensor]]), metadata: new Map(), experts: [] },
    ]);
    if (plan === undefined || plan instanceof Error) throw plan ?? new Error("no plan");
    const stream = await client.open();
    const bytes = float32Bytes(layerValues);
    await stream.header("m", plan);
    await stream.chunk(0, 0, bytes);
    await stream.footer(bytes.byteLength, toDigest([bytes]));
    const outcome = (await stream.finish()).results[0]?.outcome;
    if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error("no result");
    return outcome.embeddings[0]?.representation ?? new Float32Array(0);
  } finally {
    await client.close();
  }
}
