import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { connect } from "../../src/rpc/client.js";
import { embedFiles } from "../../src/search/embed-files.js";
import type { EmbedPort } from "../../src/search/embed-port.js";
import { startEmbedder } from "../../src/search/embedder.js";
import { createLocalPort } from "../../src/search/local-port.js";
import { describeLayer } from "../../src/training/datasets/describe-layer.js";
import { detectLayerKind } from "../../src/training/datasets/detect-layer-kind.js";
import { findLayers } from "../../src/training/datasets/find-layers.js";
import { readLayer } from "../../src/training/datasets/read-layer.js";
import { findModels } from "../../src/weights/find-models.js";
import { openModel } from "../../src/weights/model-file.js";
import { relativeError } from "../helpers/oracle.js";
import { openRawClient } from "../helpers/rpc-client.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";
import { toModel } from "../helpers/rpc-messages.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** Written by PyTorch: `make.py` beside them. */
const folder = join(repositoryRoot, "test/fixtures/lora-formats");

const toQ = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
const qProj = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj";

/** Files that have the change of weights by the product of their factors alone, and the others. */
const unscaled = ["diffusers.safetensors", "kohya.pt", "processors.bin"];
const scaled = [
  "diffusers-alpha.safetensors",
  "diffusers-metadata.safetensors",
  "kohya-sgm.safetensors",
  "kohya.safetensors",
  "peft-patterns/adapter_model.safetensors",
  "peft-rslora/adapter_model.bin",
  "peft/adapter_model.safetensors",
];
const files = [...scaled, ...unscaled].sort();

/** Most that representations of one adapter may differ in, relative L2: factors are float32, each file's its own. */
const tolerance = 1e-5;

const lora = { kind: "lora", loraScale: "apply" } as const;
const experts: readonly TestExpertSpec[] = [
  { ...lora, name: "unet", module: toQ, shape: [24, 20] },
  // By another of its names.
  { ...lora, name: "text", module: "lora_te_text_model_encoder_layers_0_self_attn_q_proj", shape: [16, 16], seed: 7 },
  { ...lora, name: "unscaled", module: toQ, shape: [24, 20], loraScale: "none" },
];

interface Change {
  readonly rows: number;
  readonly columns: number;
  readonly values: readonly number[];
}

async function readExpected(module: string): Promise<{ rows: number; columns: number; values: Float64Array }> {
  const expected: Record<string, Change> = JSON.parse(await readFile(join(folder, "expected.json"), "utf8"));
  const { rows, columns, values } = expected[module] ?? { rows: 0, columns: 0, values: [] };
  return { rows, columns, values: Float64Array.from(values) };
}

/** One server for all tests, and what embeds without it. */
interface Context {
  server: TestServer;
  ports: Record<"local" | "gRPC", EmbedPort>;
}

const test = anyTest as TestFn<Context>;

test.before(async (t) => {
  const server = await startTestServer(experts, { backend: "plain" });
  const catalogue = openCatalogue(server.catalogue);
  const local = createLocalPort(await startEmbedder({ catalogue, backend: "plain", workerCount: 1 }));
  t.context = { server, ports: { local, gRPC: connect({ target: server.target }) } };
});

test.after.always(async (t) => {
  const { server, ports } = t.context;
  await Promise.all([ports.local.close(), ports.gRPC.close()]);
  await server.close();
  t.deepEqual(server.faults, []);
});

/** Representations by file, or the reason why there is none. */
async function embed(
  port: EmbedPort,
  names: readonly string[],
  expert: string,
): Promise<(readonly number[] | string)[]> {
  const found: (readonly number[] | string)[] = [];
  for await (const { index, outcome } of embedFiles(
    names.map((name) => join(folder, name)),
    port,
    { experts: [expert] },
  )) {
    found[index] =
      outcome instanceof ProbestreamError ? outcome.reason : Array.from(outcome.embeddings[0]?.representation ?? []);
  }
  return found;
}

test("one adapter in ten files has one representation, here and through a server, and it is the exact one", async (t) => {
  const { server, ports } = t.context;
  for (const [name, module] of [
    ["unet", toQ],
    ["text", qProj],
  ] as const) {
    const exact = server.experts.get(name)?.represent(await readExpected(module)) ?? [];
    for (const [where, port] of Object.entries(ports)) {
      const found = await embed(port, files, name);
      for (const [i, file] of files.entries()) {
        const error = relativeError(found[i] as readonly number[], exact);
        t.true(error < tolerance, `${name} of ${file}, ${where}: ${error}`);
      }
    }
  }
  t.deepEqual(server.faults, []);
});

test("a client that knows nothing of scales sends the metadata, and copies the plan", async (t) => {
  const { server } = t.context;
  const client = openRawClient(server.target);
  t.teardown(() => client.close());
  const model = await openModel(join(folder, "peft-rslora/adapter_model.bin"));
  t.teardown(() => model.close());
  const tensors = [...model.tensors.values()].map(({ name, shape }) => ({ name, dtype: 2, shape: shape.map(BigInt) }));
  const metadata = Object.fromEntries(model.metadata);
  const plan = await client.planOne({ tensors, metadata, experts: ["unet"] });
  t.deepEqual(
    plan.tensors.map(({ tensor }) => tensor?.loraScale),
    [undefined, 4],
  );
  const ranges: Uint8Array[] = [];
  for (const { tensor, endByte } of plan.tensors) {
    const pieces: Uint8Array[] = [];
    for await (const piece of model.streamTensor(tensor?.name ?? "", 0, Number(endByte))) pieces.push(piece.slice());
    ranges.push(Buffer.concat(pieces));
  }
  const { response } = await client.upload(toModel(plan, ranges));
  const outcome = response?.results[0]?.outcome;
  const bytes = outcome?.case === "embedding" ? outcome.value.embeddings[0]?.representation : undefined;
  const found = new Float32Array(new Uint8Array(bytes ?? []).buffer);
  const exact = server.experts.get("unet")?.represent(await readExpected(toQ)) ?? [];
  t.true(relativeError(found, exact) < tolerance);
  const wrong = plan.tensors.map(({ tensor, beginByte, endByte }) => ({
    ...(tensor !== undefined && { tensor: { ...tensor, loraScale: Number.NaN } }),
    beginByte,
    endByte,
  }));
  const refused = (await client.upload(toModel(plan, ranges, { header: { tensors: wrong } }))).response?.results[0];
  t.regex(refused?.outcome.case === "error" ? refused.outcome.value.message : "", /lora_scale NaN; it must be finite/);
});

test("an expert that applies no scale sees factors as they are", async (t) => {
  const { server, ports } = t.context;
  const exact = server.experts.get("unscaled")?.represent(await readExpected(toQ)) ?? [];
  for (const port of Object.values(ports)) {
    const errors = (await embed(port, files, "unscaled")).map((found) =>
      relativeError(found as readonly number[], exact),
    );
    t.deepEqual(
      files.filter((_, i) => (errors[i] ?? 0) < tolerance),
      unscaled,
    );
  }
});

test("adapters of other kinds are refused by their name, here and through a server", async (t) => {
  const { ports } = t.context;
  const others = (await readdir(join(folder, "other-kinds"))).map((name) => join("other-kinds", name));
  t.is(others.length, 6);
  for (const port of Object.values(ports)) {
    t.deepEqual(await embed(port, others, "unet"), Array(6).fill("FORMAT_REFUSED"));
  }
});

test("training reads the same change of weights from every file", async (t) => {
  const { rows, columns, values } = await readExpected(toQ);
  for (const file of files) {
    const model = await openModel(join(folder, file));
    try {
      const rule = { module: toQ, kind: "lora", layout: "linear", loraScale: "apply" } as const;
      const spec = describeLayer(model.tensors, rule);
      t.deepEqual(spec.shape, { rows, columns });
      const layer = await readLayer(model, spec);
      const [down = [], up = []] = [layer.get("down"), layer.get("up")];
      const rank = down.length / columns;
      const change = values.map((_, i) => {
        let sum = 0;
        for (let k = 0; k < rank; k++)
          sum += (up[k * rows + Math.floor(i / columns)] ?? 0) * (down[k * columns + (i % columns)] ?? 0);
        return sum;
      });
      t.true(relativeError(change, values) < tolerance, file);
    } finally {
      await model.close();
    }
  }
});

test("a folder of all formats is found whole, and has the layers that all of its files have", async (t) => {
  const own = await createTemporaryFolder(t);
  for (const file of files) await cp(join(folder, file), join(own, file));
  for (const name of ["peft", "peft-patterns", "peft-rslora"]) {
    await cp(join(folder, name, "adapter_config.json"), join(own, name, "adapter_config.json"));
  }
  const found: string[] = [];
  for await (const location of findModels([own])) found.push(location);
  // The two of kohya are one name in two forms.
  const expected = files.filter((file) => file !== "kohya.pt").map((file) => join(own, file));
  t.deepEqual(found.sort(), expected.sort());
  const layers = await findLayers(found, "apply");
  t.deepEqual(
    layers.map(({ module, kind }) => [module, kind]),
    [
      [qProj, "lora"],
      [toQ, "lora"],
    ],
  );
  t.is(await detectLayerKind(found, "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"), "lora");
});
