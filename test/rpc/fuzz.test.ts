import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { status } from "@grpc/grpc-js";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import fc from "fast-check";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import type { EmbedModelResponse, PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { parseSafetensorsHeader } from "../../src/weights/safetensors-header.js";
import { toHeldBytes } from "../helpers/held-bytes.js";
import { type ExactMatrix, multiply, relativeError } from "../helpers/oracle.js";
import { type ManifestInit, openRawClient, type RawClient, type UploadMessage } from "../helpers/rpc-client.js";
import { toChunk, toFooter, toHeader } from "../helpers/rpc-messages.js";
import {
  anySequence,
  type Expected,
  type SequenceModel,
  type Step,
  toExpected,
  toNumbers,
  type Uploaded,
} from "../helpers/rpc-sequences.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { runEverything } from "../helpers/run-everything.js";

interface Context {
  server: TestServer;
  clients: RawClient[];
  plans: PlannedModel[];
}

const test = anyTest as TestFn<Context>;

/** The same cases in every run, unless FC_SEED says otherwise. */
const seed = Number(process.env["FC_SEED"] ?? 20_251_123);
const caseCount = runEverything ? 10_000 : 1000;

const limits = { maxChunkBytes: 256, maxDiscardBytes: 50, maxStreamModels: 3 };

const shape = [6, 5] as const;

const models: readonly SequenceModel[] = [
  { name: "dense", tensors: [{ name: "layer.weight", byteLength: 120 }] },
  {
    name: "lora",
    tensors: [
      { name: "mod.lora.down.weight", byteLength: 40 },
      { name: "mod.lora.up.weight", byteLength: 48 },
    ],
  },
];

const manifests: readonly ManifestInit[] = [
  { tensors: [{ name: "layer.weight", dtype: Dtype.F32, shape: [6n, 5n] }] },
  {
    tensors: [
      { name: "mod.lora.down.weight", dtype: Dtype.F32, shape: [2n, 5n] },
      { name: "mod.lora.up.weight", dtype: Dtype.F32, shape: [6n, 2n] },
    ],
  },
];

test.before(async (t) => {
  const server = await startTestServer(
    [
      { name: "dense", module: "layer", shape },
      { name: "lora", module: "mod", kind: "lora", shape },
    ],
    { limits },
  );
  const clients = Array.from({ length: 4 }, () => openRawClient(server.target));
  const plans = await Promise.all(manifests.map((manifest) => (clients[0] as RawClient).planOne(manifest)));
  t.context = { server, clients, plans };
});

test.after.always(async (t) => {
  for (const client of t.context.clients) client.close();
  await t.context.server.close();
});

/** Sizes at the edges of what counts can be. */
const anySize = fc.oneof(
  fc.nat(64),
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e308, -1, 0.5),
  fc.constantFrom('"8"', "null", "[]", "1e999", "00", "9".repeat(400)),
);
const anyDtype = fc.oneof(
  fc.constantFrom("F64", "F32", "F16", "BF16", "F8_E4M3", "F4", "I64", "BOOL", "X99"),
  fc.string({ maxLength: 8 }),
);
const anyName = fc.oneof(
  fc.constantFrom("a", "b", "__proto__", "__metadata__", "constructor", "w".repeat(5000)),
  fc.string({ unit: "binary", maxLength: 12 }),
);
const anyField = fc.tuple(
  fc.constantFrom("dtype", "shape", "data_offsets", "x"),
  fc.oneof(
    anyDtype.map((name) => JSON.stringify(name)),
    anySize.map(String),
    fc.array(anySize).map((list) => `[${list}]`),
  ),
);

/** A tensor's entry, mostly as it should be. */
const anyEntry = fc
  .record({
    name: anyName,
    dtype: anyDtype,
    shape: fc.array(anySize, { maxLength: 4 }),
    offsets: fc.array(anySize, { minLength: 2, maxLength: 2 }),
    spoiled: fc.array(anyField, { maxLength: 1 }),
  })
  .map(({ name, dtype, shape, offsets, spoiled }) => {
    const fields = new Map<string, string>([
      ["dtype", JSON.stringify(dtype)],
      ["shape", `[${shape}]`],
      ["data_offsets", `[${offsets}]`],
      ...spoiled,
    ]);
    return `${JSON.stringify(name)}:{${[...fields].map(([key, value]) => `"${key}":${value}`)}}`;
  });

/** Header texts of entries that follow each other, as a faultless file has them. */
const soundText = fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 6 }).map((shapes) => {
  let at = 0;
  const entries = shapes.map(([rows, columns], i) => {
    const begin = at;
    at += rows * columns * 4;
    return `"t${i}":{"dtype":"F32","shape":[${rows},${columns}],"data_offsets":[${begin},${at}]}`;
  });
  return { text: `{"__metadata__":{"format":"pt"}${entries.map((entry) => `,${entry}`).join("")}}`, dataBytes: at };
});

const nested = fc
  .tuple(fc.nat(20_000), fc.constantFrom("[", '{"a":', '{"a":['))
  .map(([depth, open]) => `{"t":${open.repeat(depth)}`);

/** A file as bytes and as the length that its source claims. */
interface AnyFile {
  readonly bytes: Uint8Array;
  readonly fileSize: number;
}

function toFile(text: string | Uint8Array, dataBytes: number, lie = 0n): AnyFile {
  const header = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const bytes = new Uint8Array(8 + header.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(header.length) + lie), true);
  bytes.set(header, 8);
  return { bytes, fileSize: bytes.length };
}

const anyLie = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0n) },
  fc.bigInt({ min: -200n, max: 200n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const anyEdits = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
);

const anyFile: fc.Arbitrary<AnyFile> = fc.oneof(
  fc.tuple(soundText, anyLie, anyEdits, fc.nat(8)).map(([{ text, dataBytes }, lie, edits, cut]): AnyFile => {
    const { bytes, fileSize } = toFile(text, dataBytes, lie);
    for (const [at, value] of edits) bytes[at % bytes.length] = value;
    // One in eight is cut short, one in eight claims to be longer than it is.
    if (cut === 0) return { bytes: bytes.subarray(0, fileSize >> 1), fileSize: fileSize >> 1 };
    return { bytes, fileSize: cut === 1 ? fileSize + 1000 : fileSize };
  }),
  fc
    .tuple(fc.array(anyEntry, { maxLength: 5 }), fc.nat(64), anyLie)
    .map(([entries, dataBytes, lie]) => toFile(`{${entries}}`, dataBytes, lie)),
  fc.tuple(nested, anyLie).map(([text, lie]) => toFile(text, 0, lie)),
  fc.json().map((text) => toFile(text, 0)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => toFile(Uint8Array.from([0x7b, ...bytes]), 0)),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => ({ bytes, fileSize: bytes.length })),
);

test.serial(`${caseCount} safetensors headers are parsed or refused, in bounded time and memory`, (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let parsed = 0;
  let slowest = 0;
  let largest = 0;
  collect();
  const before = process.memoryUsage();
  fc.assert(
    fc.property(anyFile, ({ bytes, fileSize }) => {
      const started = performance.now();
      try {
        const { tensors, headerBytes } = parseSafetensorsHeader(bytes, fileSize);
        parsed++;
        let at = headerBytes;
        for (const { begin, end } of tensors) {
          if (begin !== at || end < begin) throw new Error(`a tensor lies at ${begin} to ${end}, not at ${at}`);
          at = end;
        }
        if (at !== fileSize) throw new Error(`tensors end at ${at} of ${fileSize}`);
      } catch (error) {
        if (!(error instanceof ProbestreamError)) throw error;
        if (error.message.length > 2000) throw new Error(`a message of ${error.message.length} characters`);
      }
      slowest = Math.max(slowest, performance.now() - started);
      largest = Math.max(largest, process.memoryUsage().arrayBuffers - before.arrayBuffers);
    }),
    { numRuns: caseCount, seed },
  );
  collect();
  const grown = process.memoryUsage().heapUsed - before.heapUsed;
  t.log(`seed ${seed}: ${parsed} of ${caseCount} were valid, slowest ${slowest.toFixed(1)} ms, heap grew by ${grown}`);
  t.true(parsed > caseCount / 30, "the cases hardly ever reach a valid header");
  t.true(slowest < 1000, `one header took ${slowest} ms`);
  t.true(grown < 16 * 1024 * 1024, `the heap grew by ${grown} bytes`);
  t.true(largest < 64 * 1024 * 1024, `${largest} bytes of buffers were held at a time`);
});

test.serial(
  `${caseCount} sequences of messages get the result or the error that the contract gives them`,
  async (t) => {
    const { clients, plans } = t.context;
    const batchSize = 40;
    let serial = 0;
    const counts = { calls: 0, results: 0, errors: 0 };
    const property = fc.asyncProperty(
      fc.array(anySequence(models), { minLength: batchSize, maxLength: batchSize }),
      async (sequences) => {
        await Promise.all(
          sequences.map(async (steps, index) => {
            const expected = toExpected(steps, models, limits);
            const messages = toMessages(steps, plans, () => `fuzz-upload-${String(serial++).padStart(8, "0")}`);
            const client = clients[index % clients.length] as RawClient;
            const { response, failure } = await client.upload(messages, { deadlineMs: 30_000 });
            const found = failure === undefined ? describe(response) : `${status[failure.code]} ${failure.message}`;
            const report = (): Error =>
              new Error(`${brief(steps)}: expected ${JSON.stringify(expected, toBrief)}, found ${found}`);
            if ("call" in expected) {
              counts.calls++;
              if (failure?.info?.reason !== expected.call) throw report();
            } else if (response === undefined || !isExpected(t, response, expected, counts)) {
              throw report();
            }
          }),
        );
      },
    );
    const { failed, errorInstance, counterexamplePath } = await fc.check(property, {
      numRuns: caseCount / batchSize,
      seed,
      endOnFailure: true,
    });
    // Not fc.assert: a batch of sequences takes pages to print.
    t.false(failed, `seed ${seed}, path ${counterexamplePath}: ${errorInstance}`);
    t.log(`seed ${seed}: ${counts.calls} calls failed, ${counts.results} models embedded, ${counts.errors} refused`);
    const least = caseCount / 10;
    t.true(counts.results > least && counts.errors > least && counts.calls > least);

    const { memoryPlan } = await (clients[0] as RawClient).serverInfo();
    t.is(memoryPlan?.openStreams, 0);
    t.is(toHeldBytes(memoryPlan), 0);
    t.deepEqual(t.context.server.faults, []);
  },
);

function toMessages(
  steps: readonly Step[],
  plans: readonly PlannedModel[],
  nextUploadId: () => string,
): UploadMessage[] {
  return steps.map((step) => {
    if (step.kind === "empty") return {};
    if (step.kind === "chunk") return toChunk(step.tensor, BigInt(step.offset), step.bytes);
    if (step.kind === "footer") return toFooter(step.total, step.digest);
    const plan = plans[step.model] as PlannedModel;
    const [first, ...others] = plan.tensors;
    const uploadId = nextUploadId();
    switch (step.fault) {
      case "no-space-ids":
        return toHeader(plan, { uploadId, spaceIds: [] });
      case "short-upload-id":
        return toHeader(plan, { uploadId: "short" });
      case "other-range":
        return toHeader(plan, {
          uploadId,
          tensors: [{ ...first, endByte: (first?.endByte ?? 4n) - 4n } as PlannedModel["tensors"][number], ...others],
        });
      case "reversed":
        return toHeader(plan, { uploadId, tensors: [...plan.tensors].reverse() });
      case "start-offset":
        return toHeader(plan, { uploadId, startOffsets: [first?.endByte ?? 0n] });
      default:
        return toHeader(plan, { uploadId });
    }
  });
}

/** Whether an answer is what it must be. */
function isExpected(
  t: ExecutionContext<Context>,
  response: EmbedModelResponse,
  expected: Extract<Expected, { models: unknown }>,
  counts: { results: number; errors: number },
): boolean {
  if (response.results.length !== expected.models.length || response.stoppedEarly !== expected.stoppedEarly)
    return false;
  return response.results.every(({ outcome }, index) => {
    const wanted = expected.models[index];
    if (wanted === undefined) return false;
    if (typeof wanted === "string") {
      counts.errors++;
      return outcome.case === "error" && ErrorReason[outcome.value.reason] === wanted;
    }
    counts.results++;
    if (outcome.case !== "embedding") return isHuge(wanted) && outcome.value?.reason === ErrorReason.NON_FINITE;
    const found = toNumbers(outcome.value.embeddings[0]?.representation ?? new Uint8Array(0));
    return relativeError(found, represent(t, wanted)) <= 1e-5;
  });
}

/** A sequence in a line: headers, chunks as tensor@offset+length, footers. */
function brief(steps: readonly Step[]): string {
  const words = steps.map((step) => {
    if (step.kind === "header") return `header ${step.model} ${step.fault}`;
    if (step.kind === "chunk") return `${step.tensor}@${step.offset}+${step.bytes.byteLength}`;
    return step.kind === "footer" ? `footer ${step.total} ${step.digest.byteLength}` : "empty";
  });
  return words.join(", ");
}

function toBrief(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? `${value.byteLength} bytes` : value;
}

function describe(response: EmbedModelResponse | undefined): string {
  const outcomes = response?.results.map(({ outcome }) => {
    if (outcome.case === "error") return `${ErrorReason[outcome.value.reason]} "${outcome.value.message}"`;
    return `[${toNumbers(outcome.value?.embeddings[0]?.representation ?? new Uint8Array(0))}]`;
  });
  return `${outcomes?.join(", ")}, stopped early: ${response?.stoppedEarly}`;
}

/** Flipped bits can make numbers whose products overflow float32, which is refused too. */
function isHuge({ ranges }: Uploaded): boolean {
  return ranges.some((range) => toNumbers(range).some((value) => Math.abs(value) > 1e15));
}

function represent(t: ExecutionContext<Context>, { model, ranges }: Uploaded): Float64Array {
  const expert = t.context.server.experts.get((models[model] as SequenceModel).name);
  const matrix = (range: number, rows: number, columns: number): ExactMatrix => ({
    rows,
    columns,
    values: Float64Array.from(toNumbers(ranges[range] as Uint8Array)),
  });
  const x = model === 0 ? matrix(0, 6, 5) : multiply(matrix(1, 6, 2), matrix(0, 2, 5));
  return expert?.represent(x) ?? new Float64Array(0);
}
