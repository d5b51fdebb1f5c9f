import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import type { EmbedPort } from "../../src/search/embed-port.js";
import type { TensorData } from "../../src/weights/safetensors-writer.js";
import { type GoldenCase, goldenNames, readGoldenCase, writeGoldenExpert } from "../helpers/golden.js";
import { relativeError } from "../helpers/oracle.js";
import { toDigest } from "../helpers/rpc-messages.js";
import { runEverything } from "../helpers/run-everything.js";

interface Context {
  folder: string;
  server: RunningServer;
  client: ProbestreamClient;
}

const test = anyTest as TestFn<Context>;

/** Bound of the design for CPU backends, relative L2. */
const tolerance = 1e-5;

/** Inside a number, across numbers, one number, inside rows, and all at once. */
const chunkSizes = [1, 3, 4, 4095, 1024 * 1024] as const;

/** A case of more messages, 256 KiB in chunks of 1, 3 or 4 bytes, takes 4 to 18 s of a core. */
const maxMessages = runEverything ? Number.POSITIVE_INFINITY : 40_000;

const cases = await Promise.all(goldenNames.map(readGoldenCase));

test.before(async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "probestream-golden-"));
  for (const golden of cases) await writeGoldenExpert(golden, folder);
  const server = await startServer({ catalogue: openCatalogue(folder), backend: "onnx", workerCount: 1 });
  const client = connect({ target: `${server.host}:${server.port}` });
  t.context = { folder, server, client };
});

test.after.always(async (t) => {
  await t.context.client.close();
  await t.context.server.close(0);
  await rm(t.context.folder, { recursive: true, force: true });
});

/** Embeds all models of a case on one stream and returns the worst relative errors. */
async function embedCase(
  port: EmbedPort,
  { name, models, texts, expected }: GoldenCase,
  chunkBytes: number,
): Promise<{ representation: number; logits: number }> {
  const requests = models.map((tensors, index) => ({
    modelId: `${name} ${index}`,
    uploadId: "",
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata: new Map<string, string>(),
    experts: [name],
  }));
  const plans = await port.plan(requests);
  const stream = await port.open();
  for (const [index, plan] of plans.entries()) {
    if (plan instanceof Error) throw plan;
    const bytes = new Map(models[index]?.map((tensor: TensorData) => [tensor.name, tensor.bytes]));
    const ranges = plan.tensors.map(
      ({ tensor, beginByte, endByte }) => bytes.get(tensor.name)?.subarray(beginByte, endByte) ?? new Uint8Array(0),
    );
    await stream.header(`${name} ${index}`, plan, index === 0 ? texts : undefined);
    for (const [tensor, range] of ranges.entries()) {
      for (let at = 0; at < range.byteLength; at += chunkBytes) {
        await stream.chunk(tensor, at, range.subarray(at, at + chunkBytes));
      }
    }
    const total = ranges.reduce((sum, range) => sum + range.byteLength, 0);
    await stream.footer(total, toDigest(ranges));
  }
  const { results } = await stream.finish();
  if (results.length !== models.length) throw new Error(`${results.length} results of ${models.length}`);
  const worst = { representation: 0, logits: 0 };
  for (const [index, { outcome }] of results.entries()) {
    if (outcome instanceof Error) throw outcome;
    const [found] = outcome.embeddings;
    const { representation, logits } = expected[index] ?? {};
    if (found === undefined || logits === undefined) throw new Error("a result or a figure is missing");
    if (representation !== undefined) {
      worst.representation = Math.max(worst.representation, relativeError(found.representation, representation));
    }
    const scores = texts === undefined ? found.logits : found.cosines;
    worst.logits = Math.max(worst.logits, relativeError(scores, logits));
  }
  return worst;
}

for (const golden of cases) {
  const { name, models } = golden;
  const byteCount = models.flat().reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  for (const chunkBytes of chunkSizes) {
    const runs = byteCount / chunkBytes <= maxMessages;
    const title = `${name} comes out as recorded when it is sent in chunks of ${chunkBytes} bytes`;
    (runs ? test.serial : test.skip)(title, async (t) => {
      const worst = await embedCase(t.context.client, golden, chunkBytes);
      t.log(
        `relative L2 error: representation ${worst.representation.toExponential(1)}, scores ${worst.logits.toExponential(1)}`,
      );
      t.true(worst.representation <= tolerance, `${worst.representation}`);
      t.true(worst.logits <= tolerance, `${worst.logits}`);
    });
  }
}
