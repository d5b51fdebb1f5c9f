import type { MessageInitShape } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import fc from "fast-check";
import {
  EmbeddingService,
  type EmbedProjectionRequestSchema,
  type ModelResult,
  type PlannedModel,
  type ProjectedModelSchema,
} from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { createExpertParameters } from "../helpers/expert-folder.js";
import { toHeldBytes } from "../helpers/held-bytes.js";
import { type ExactMatrix, multiply, relativeError, turned } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";
import { type ManifestInit, openRawClient, type RawClient } from "../helpers/rpc-client.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";
import { toNumbers } from "../helpers/rpc-sequences.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";

type ModelInit = MessageInitShape<typeof ProjectedModelSchema>;
type TensorInit = NonNullable<NonNullable<ModelInit["targets"]>[number]["state"]>[number];

interface Context {
  server: TestServer;
  client: RawClient;
  plans: Record<"dense" | "turned" | "lora" | "applied", PlannedModel>;
}

const test = anyTest as TestFn<Context>;

const shape = [6, 5] as const;
const experts: readonly TestExpertSpec[] = [
  { name: "dense", module: "layer", shape },
  { name: "turned", module: "layer", layout: "transposed", shape: [5, 6] },
  { name: "lora", module: "mod", kind: "lora", shape },
  { name: "applied", module: "mod", kind: "lora", loraScale: "apply", shape },
];

const layer = { name: "layer.weight", dtype: Dtype.F32, shape: [6n, 5n] };
const factors = [
  { name: "mod.lora.down.weight", dtype: Dtype.F32, shape: [2n, 5n] },
  { name: "mod.lora.up.weight", dtype: Dtype.F32, shape: [6n, 2n] },
  { name: "mod.alpha", dtype: Dtype.F32, shape: [] },
];
const manifests: Record<keyof Context["plans"], ManifestInit> = {
  dense: { tensors: [layer], experts: ["dense"] },
  turned: { tensors: [layer], experts: ["turned"] },
  lora: { tensors: factors, experts: ["lora"] },
  applied: { tensors: factors, experts: ["applied"] },
};

test.before(async (t) => {
  const server = await startTestServer(experts, { store: createMemoryStore(), limits: { maxStreamModels: 40 } });
  const client = openRawClient(server.target);
  const plans = {} as Context["plans"];
  for (const [name, manifest] of Object.entries(manifests)) {
    plans[name as keyof typeof plans] = await client.planOne(manifest);
  }
  t.context = { server, client, plans };
});
test.after.always(async (t) => {
  const { memoryPlan } = await t.context.client.serverInfo();
  t.is(memoryPlan?.openStreams, 0);
  t.is(toHeldBytes(memoryPlan), 0);
  t.deepEqual(t.context.server.faults, []);
  t.context.client.close();
  await t.context.server.close();
});

const exact = ({ rows, columns, values }: ReturnType<typeof randomMatrix>): ExactMatrix => ({
  rows,
  columns,
  values: Float64Array.from(values),
});
const x = exact(randomMatrix(6, 5, 40));
const [down, up] = [exact(randomMatrix(2, 5, 41)), exact(randomMatrix(6, 2, 42))];

function toTensor(name: string, { rows, columns, values }: ExactMatrix): TensorInit {
  const data = new Uint8Array(Float32Array.from(values).buffer);
  return { name, shape: [BigInt(rows), BigInt(columns)], data };
}

/** V and U of an expert of these tests. */
function probesOf(name: keyof Context["plans"]): { readonly u: ExactMatrix; readonly v: ExactMatrix } {
  const [rows, columns] = experts.find((one) => one.name === name)?.shape ?? shape;
  const { u, v } = createExpertParameters({ rows, columns });
  return { u: exact(u), v: exact(v) };
}

/** The state that the contract asks for, computed from the definition alone. */
function stateOf(name: keyof Context["plans"], alpha = 3): TensorInit[] {
  const { u, v } = probesOf(name);
  if (name === "dense" || name === "turned") {
    return [toTensor("z", multiply(multiply(v, name === "turned" ? turned(x) : x), u))];
  }
  const state = [toTensor("vb", multiply(v, up)), toTensor("au", multiply(down, u))];
  if (name === "lora") return state;
  return [...state, toTensor("alpha", { rows: 1, columns: 1, values: Float64Array.of(alpha) })];
}

/** A faultless model, with fields in place of its own. */
function toModel(
  t: ExecutionContext<Context>,
  name: keyof Context["plans"],
  changes: ModelInit & { readonly state?: TensorInit[]; readonly accumulator?: string; readonly sketch?: number } = {},
): ModelInit {
  const { tensors, targets } = t.context.plans[name];
  const { state = stateOf(name), accumulator = "probex/1", sketch, ...fields } = changes;
  return {
    modelId: name,
    tensors,
    targets: targets.map(({ spaceId }) => ({ spaceId, accumulator, state, ...(sketch !== undefined && { sketch }) })),
    ...fields,
  };
}

async function send(
  t: ExecutionContext<Context>,
  request: MessageInitShape<typeof EmbedProjectionRequestSchema>,
): Promise<ModelResult[]> {
  return (await t.context.client.unary(EmbeddingService.method.embedProjection, request)).results;
}

function reasonOf({ outcome }: ModelResult): string {
  return outcome.case === "error" ? ErrorReason[outcome.value.reason] : "";
}

test("sums made from the contract's words alone give the exact representations", async (t) => {
  const { server } = t.context;
  const names = ["dense", "turned", "lora", "applied"] as const;
  const results = await send(t, { models: names.map((name) => toModel(t, name)) });
  const delta = multiply(up, down);
  const applied = { ...delta, values: delta.values.map((value) => (value * 3) / 2) };
  const layers = { dense: x, turned: turned(x), lora: delta, applied };
  for (const [index, name] of names.entries()) {
    const result = results[index];
    if (result?.outcome.case !== "embedding") return t.fail(`${name}: ${result?.outcome.value?.message}`);
    const found = toNumbers(result.outcome.value.embeddings[0]?.representation ?? new Uint8Array(0));
    const error = relativeError(found, server.experts.get(name)?.represent(layers[name]) ?? []);
    t.true(error <= 1e-5, `${name}: ${error}`);
    t.is(result.modelId, name);
    t.is(result.outcome.value.weightsHash, "");
    t.is(result.outcome.value.embeddings[0]?.tree, undefined);
  }
});

test("an alpha may have the shape [1] or none, and a digest comes back as it was sent", async (t) => {
  const [vb, au, alpha] = stateOf("applied") as [TensorInit, TensorInit, TensorInit];
  const digest = Uint8Array.from({ length: 32 }, (_, i) => i);
  const shapes = [[], [1n], [1n, 1n]];
  const models = shapes.map((one) =>
    toModel(t, "applied", {
      state: [alpha, vb, au].map((p) => (p === alpha ? { ...p, shape: one } : p)),
      weightsDigest: digest,
    }),
  );
  for (const { outcome } of await send(t, { models })) {
    if (outcome.case !== "embedding") return t.fail(outcome.value?.message);
    t.is(outcome.value.weightsHash, Buffer.from(digest).toString("hex"));
  }
});

const nan = new Uint8Array(Float32Array.from({ length: 12 }, (_, i) => (i === 5 ? Number.NaN : 1)).buffer);
const toHuge = (part: TensorInit): TensorInit => {
  const values = new Float32Array((part.data?.byteLength ?? 0) / 4).fill(1e30);
  return { ...part, data: new Uint8Array(values.buffer) };
};

test("every fault of a model is its own error, and the others of the call are embedded", async (t) => {
  const { plans } = t.context;
  const [z] = stateOf("dense") as [TensorInit];
  const [vb, au] = stateOf("lora") as [TensorInit, TensorInit];
  const index = { modelId: "x".repeat(2000) };
  const [range] = plans.dense.tensors;
  const other = { ...range, endByte: 60n } as typeof range;
  const faults: readonly (readonly [ModelInit, string, RegExp])[] = [
    [
      toModel(t, "dense", { accumulator: "probex/2" }),
      "FIELD_INVALID",
      /"probex\/2"; the expert "dense" takes "probex\/1"/,
    ],
    [toModel(t, "dense", { accumulator: "" }), "FIELD_INVALID", /this server probex\/1/],
    [toModel(t, "dense", { state: [] }), "FIELD_INVALID", /lack the part "z"; they are made of "z" \[3, 4\]/],
    [toModel(t, "dense", { state: [z, z] }), "DUPLICATE", /"z".*stands twice/],
    [toModel(t, "dense", { state: [z, vb] }), "FIELD_INVALID", /have a part "vb"/],
    [
      toModel(t, "dense", { state: [{ ...z, shape: [4n, 3n] }] }),
      "SHAPE_MISMATCH",
      /shape \[4, 3\]; the expert wants \[3, 4\]/,
    ],
    [
      toModel(t, "dense", { state: [{ ...z, shape: [3n, 5n] }] }),
      "SHAPE_MISMATCH",
      /48 bytes; float32 of the shape \[3, 5\] take 60/,
    ],
    [toModel(t, "dense", { state: [{ ...z, shape: [3n, 2n, 2n] }] }), "SHAPE_MISMATCH", /3 dimensions/],
    [toModel(t, "dense", { state: [{ ...z, shape: [2n ** 63n, 2n ** 63n] }] }), "FIELD_INVALID", /2\^53/],
    [toModel(t, "dense", { state: [{ ...z, name: "" }] }), "FIELD_INVALID", /no name/],
    [toModel(t, "dense", { state: [{ ...z, name: "z".repeat(65) }] }), "LIMIT_EXCEEDED", /65 characters/],
    [toModel(t, "dense", { state: Array.from({ length: 17 }, () => z) }), "LIMIT_EXCEEDED", /17 targets\.state/],
    [toModel(t, "dense", { state: [{ ...z, data: nan }] }), "NON_FINITE", /the part "z"/],
    [
      toModel(t, "lora", {
        state: [vb, { ...au, data: new Uint8Array(0) }],
      }),
      "SHAPE_MISMATCH",
      /0 bytes/,
    ],
    [toModel(t, "lora", { state: [vb] }), "FIELD_INVALID", /lack the part "au"/],
    [toModel(t, "lora", { state: stateOf("applied") }), "FIELD_INVALID", /have a part "alpha"/],
    [toModel(t, "applied", { state: stateOf("lora") }), "FIELD_INVALID", /lack the part "alpha"/],
    [toModel(t, "applied", { state: stateOf("applied", Number.POSITIVE_INFINITY) }), "NON_FINITE", /"alpha"/],
    [toModel(t, "applied", { state: stateOf("applied").map(toHuge) }), "NON_FINITE", /overflows float32/],
    [toModel(t, "dense", { sketch: 0 }), "FIELD_INVALID", /targets\[0\]\.sketch is 0; the model has 0 sketches/],
    [toModel(t, "dense", { targets: [] }), "FIELD_INVALID", /no targets/],
    [toModel(t, "dense", { tensors: [] }), "LAYER_NOT_FOUND", /layer/],
    [toModel(t, "dense", { tensors: [other].flatMap((one) => one ?? []) }), "PLAN_STALE", /"layer.weight" 0 to 120/],
    [toModel(t, "dense", { tensors: plans.lora.tensors }), "LAYER_NOT_FOUND", /layer/],
    [toModel(t, "dense", { routed: true }), "EXPERT_AMBIGUOUS", /dense/],
    [toModel(t, "dense", { weightsDigest: new Uint8Array(31) }), "FIELD_INVALID", /31 bytes; a SHA-256 has 32/],
    [toModel(t, "dense", { modelId: "m".repeat(1025) }), "LIMIT_EXCEEDED", /1025 characters/],
    [toModel(t, "dense", { index }), "LIMIT_EXCEEDED", /./],
    [
      toModel(t, "dense", { targets: [{ spaceId: "f".repeat(64), accumulator: "probex/1", state: [z] }] }),
      "EXPERT_NOT_FOUND",
      /f{8}/,
    ],
  ];
  const results = await send(t, { models: [...faults.map(([model]) => model), toModel(t, "dense")] });
  t.is(results.length, faults.length + 1);
  for (const [place, [model, reason, message]] of faults.entries()) {
    const { outcome, modelId } = results[place] as ModelResult;
    t.is(modelId, (model.modelId ?? "").slice(0, 1024));
    if (outcome.case !== "error") return t.fail(`${place} was not refused: ${message}`);
    t.is(ErrorReason[outcome.value.reason], reason, outcome.value.message);
    t.regex(outcome.value.message, message);
  }
  t.is(results.at(-1)?.outcome.case, "embedding");
});

test("calls with no models, too many, or texts that are wrong, are refused", async (t) => {
  const model = toModel(t, "dense");
  const texts = (rows: number, columns: number, value = 1) => ({
    ...{ rows, columns, data: new Uint8Array(new Float32Array(rows * columns).fill(value).buffer) },
  });
  const refused = [
    [{ models: [] }, status.RESOURCE_EXHAUSTED, /0 models; 1 to 40/],
    [{ models: Array.from({ length: 41 }, () => model) }, status.RESOURCE_EXHAUSTED, /41 models/],
    [{ models: [model], textVectors: texts(1, 5, Number.NaN) }, status.INVALID_ARGUMENT, /finite/],
    [{ models: [model], textVectors: { ...texts(1, 5), rows: 2 } }, status.INVALID_ARGUMENT, /20 bytes/],
  ] as const;
  for (const [request, code, message] of refused) {
    const error = await t.throwsAsync(send(t, request as Parameters<typeof send>[1]));
    t.is((error as unknown as { code: number }).code, code);
    t.regex(error?.message ?? "", message);
  }
  const [result] = await send(t, { models: [model], textVectors: texts(2, 4) });
  t.is(result && reasonOf(result), "TEXT_WIDTH_MISMATCH");
  const [scored] = await send(t, { models: [model], textVectors: texts(2, 5) });
  const { value } = scored?.outcome ?? {};
  t.is(value !== undefined && "embeddings" in value && value.embeddings[0]?.textCosines.byteLength, 8);
});

test("probes of experts that are not there, twice, none or too many are refused", async (t) => {
  const { client } = t.context;
  const spaceId = t.context.plans.dense.targets[0]?.spaceId ?? "";
  const refused = [
    [[], status.RESOURCE_EXHAUSTED, /0 space_ids; the probes of 1 to 64/],
    [Array.from({ length: 65 }, (_, i) => `${i}`), status.RESOURCE_EXHAUSTED, /65 space_ids/],
    [[spaceId, spaceId], status.INVALID_ARGUMENT, /stands twice/],
    [["f".repeat(64)], status.NOT_FOUND, /ffff/],
  ] as const;
  for (const [spaceIds, code, message] of refused) {
    const error = await t.throwsAsync(
      client.serverStream(EmbeddingService.method.getProbes, { spaceIds: [...spaceIds] }),
    );
    t.is((error as unknown as { code: number }).code, code);
    t.regex(error?.message ?? "", message);
  }
  const messages = await client.serverStream(EmbeddingService.method.getProbes, { spaceIds: [spaceId] });
  t.deepEqual(
    messages.map(({ part }) => part.case),
    ["expert", "chunk", "chunk"],
  );
});

test("an answer stops where it has grown long, and the rest can be sent again", async (t) => {
  const server = await startTestServer([{ name: "dense", module: "layer", shape }], {
    limits: { maxAnswerBytes: 3000 },
  });
  const client = openRawClient(server.target);
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  const plan = await client.planOne(manifests.dense);
  const model = { ...toModel(t, "dense"), tensors: plan.tensors };
  const models = Array.from({ length: 10 }, (_, i) => ({ ...model, modelId: `${i}` }));
  let sent = 0;
  for (let calls = 0; sent < models.length; calls++) {
    t.true(calls < 10);
    const answer = await client.unary(EmbeddingService.method.embedProjection, { models: models.slice(sent) });
    t.true(answer.results.length > 0);
    t.is(answer.stoppedEarly, sent + answer.results.length < models.length);
    for (const { modelId, outcome } of answer.results) {
      t.is(modelId, String(sent++));
      t.is(outcome.case, "embedding");
    }
  }
});

const anyState = fc.array(
  fc.record({
    name: fc.oneof(fc.constantFrom("z", "vb", "au", "alpha", "constructor", ""), fc.string({ maxLength: 70 })),
    shape: fc
      .array(fc.oneof(fc.nat(6), fc.constantFrom(2 ** 32, 2 ** 52)), { maxLength: 4 })
      .map((list) => list.map(BigInt)),
    data: fc.uint8Array({ maxLength: 64 }).map((bytes) => new Uint8Array(bytes)),
  }),
  { maxLength: 5 },
);

test("states of any names, shapes and bytes are embedded or refused, and the server stays", async (t) => {
  const names = ["dense", "turned", "lora", "applied"] as const;
  let embedded = 0;
  const property = fc.asyncProperty(
    fc.array(fc.tuple(fc.constantFrom(...names), anyState, fc.uint8Array({ maxLength: 8 })), {
      minLength: 30,
      maxLength: 40,
    }),
    async (drawn) => {
      const models = drawn.map(([name, state, noise], place) => {
        // Every third is nearly right: some of its bytes are others.
        const right = stateOf(name);
        const [first] = right as [TensorInit];
        const data = Uint8Array.from(first.data ?? [], (byte, at) => byte ^ (noise[at] ?? 0));
        return toModel(t, name, { state: place % 3 === 0 ? [{ ...first, data }, ...right.slice(1)] : state });
      });
      const results = await send(t, { models });
      for (const result of results) {
        const reason = reasonOf(result);
        if (reason === "INTERNAL") throw new Error(JSON.stringify(result.outcome.value));
        if (reason === "") embedded++;
      }
      return results.length === models.length;
    },
  );
  await fc.assert(property, { numRuns: 50, seed: Number(process.env["FC_SEED"] ?? 20_261_129) });
  t.true(embedded > 100, `${embedded}`);
});
