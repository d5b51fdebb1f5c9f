import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import anyTest, { type TestFn } from "ava";
import type { ErrorReason as ReasonName } from "../../src/errors/error-reason.js";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import type { PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { ExpertService } from "../../src/gen/probestream/v1/expert_service_pb.js";
import { Dtype, type ModelError, type TensorInfoSchema } from "../../src/gen/probestream/v1/types_pb.js";
import { toCode } from "../../src/rpc/status-codes.js";
import { openModel } from "../../src/weights/model-file.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { randomValues } from "../helpers/random.js";
import {
  type CallFailure,
  type ManifestInit,
  openRawClient,
  type RawClient,
  toFailure,
  type UploadAnswer,
  type UploadMessage,
} from "../helpers/rpc-client.js";
import { toChunk, toChunks, toDigest, toFooter, toHeader, toModel } from "../helpers/rpc-messages.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";

interface Context {
  server: TestServer;
  client: RawClient;
  folder: string;
}

/** How something was refused: as a whole call, as one model of a batch, or as a file that the client reads. */
interface Refusal {
  readonly of: "call" | "model" | "file";
  readonly code: keyof typeof status;
  /** Absent where grpc-js refuses a message before the server sees it. */
  readonly reason: ReasonName | undefined;
  readonly message: string;
}

interface Row extends Omit<Refusal, "message"> {
  readonly name: string;
  readonly message: string | RegExp;
  readonly find: (context: Context) => Promise<Refusal>;
}

const test = anyTest as TestFn<Context>;

/** Small limits, so that passing them is cheap. */
const limits = {
  maxManifestTensors: 16,
  maxPlanModels: 8,
  maxStreamModels: 3,
  maxTextVectors: 10,
  maxChunkBytes: 4096,
};

const shape = [6, 5] as const;

test.before(async (t) => {
  const server = await startTestServer(
    [
      { name: "dense", module: "layer", shape, headWidth: 6 },
      { name: "classifier", module: "classified", shape, objective: "classification" },
      { name: "lora", module: "mod", kind: "lora", loraScale: "apply", shape },
      { name: "conv", module: "conv", layout: "conv", shape: [8, 4] },
      { name: "transposed", module: "gpt", layout: "transposed", shape },
      { name: "vector", module: "bias", layout: "vector", shape: [6, 1] },
      { name: "packed", module: "qkv", slice: [6, 12], shape },
      { name: "large", module: "large", shape: [2048, 1100] },
      { name: "twin-a", module: "twin", shape, seed: 10 },
      { name: "twin-b", module: "twin", shape, seed: 20 },
    ],
    { limits },
  );
  const folder = await mkdtemp(join(tmpdir(), "probestream-malformed-"));
  t.context = { server, client: openRawClient(server.target), folder };
});

test.after.always(async (t) => {
  t.context.client.close();
  await t.context.server.close();
  await rm(t.context.folder, { recursive: true, force: true });
});

type TensorInit = MessageInitShape<typeof TensorInfoSchema>;

/** A tensor of a manifest; float32 unless said otherwise. */
function tensor(name: string, extents: readonly (number | bigint)[], dtype: Dtype = Dtype.F32): TensorInit {
  return { name, dtype, shape: extents.map(BigInt) };
}

function manifest(tensors: readonly TensorInit[], fields: ManifestInit = {}): ManifestInit {
  return { modelId: "m", tensors: [...tensors], ...fields };
}

/** The faultless model that most rows spoil. */
const dense = manifest([tensor("layer.weight", shape)]);
const denseBytes = float32Bytes(randomValues(30, 7));
const lora = manifest([tensor("mod.lora.down.weight", [2, 5]), tensor("mod.lora.up.weight", [6, 2])]);
const loraBytes = [float32Bytes(randomValues(10, 8)), float32Bytes(randomValues(12, 9))];

function fromModelError({ code, reason, message }: ModelError): Refusal {
  return {
    of: "model",
    code: status[code] as keyof typeof status,
    reason: ErrorReason[reason] as ReasonName,
    message,
  };
}

function fromFailure({ code, message, info, details }: CallFailure): Refusal {
  if (
    info !== undefined &&
    (info.domain !== "probestream.dev" || details?.code !== code || details.message !== message)
  ) {
    throw new Error(`grpc-status-details-bin differs from the status: ${JSON.stringify(details)}`);
  }
  return {
    of: "call",
    code: status[code] as keyof typeof status,
    reason: info?.reason as ReasonName | undefined,
    message,
  };
}

/** Plans one model that must be refused. */
function plan(init: ManifestInit) {
  return async ({ client }: Context): Promise<Refusal> => {
    const [answer] = await client.plan(init);
    if (answer?.outcome.case !== "error") throw new Error("it was planned");
    return fromModelError(answer.outcome.value);
  };
}

/** A unary call that must fail. */
function fails(call: (client: RawClient) => Promise<unknown>) {
  return async ({ client }: Context): Promise<Refusal> => {
    try {
      await call(client);
    } catch (error) {
      return fromFailure(toFailure(error as ServiceError));
    }
    throw new Error("the call went through");
  };
}

/** Uploads messages made from the plan of a model. The call must fail, or its last model must. */
function upload(init: ManifestInit, make: (plan: PlannedModel) => Iterable<UploadMessage | Buffer>) {
  return async ({ client }: Context): Promise<Refusal> => {
    const planned = await client.planOne(init);
    return fromAnswer(await client.upload(make(planned)));
  };
}

function fromAnswer({ response, failure }: UploadAnswer): Refusal {
  if (failure !== undefined) return fromFailure(failure);
  const last = response.results.at(-1);
  if (last?.outcome.case !== "error") throw new Error("it was embedded");
  return fromModelError(last.outcome.value);
}

/** Opens a file that must be refused; its folder is cut out of the message. */
function file(bytes: Uint8Array, name: string) {
  return async ({ folder }: Context): Promise<Refusal> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    try {
      await (await openModel(path)).close();
    } catch (error) {
      if (!(error instanceof ProbestreamError)) throw error;
      const message = error.message.replaceAll(`${folder}/`, "");
      return { of: "file", code: status[toCode(error)] as keyof typeof status, reason: error.reason, message };
    }
    throw new Error("it was opened");
  };
}

/** A safetensors file of a header text and so many bytes of data. */
function safetensors(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';

/** The faultless model with one number replaced. */
function withNumber(bytes: Uint8Array, index: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setFloat32(index * 4, value, true);
  return copy;
}

/** A matrix of text vectors for a header. */
function texts(rows: number, columns: number, dataBytes = rows * columns * 4, fill = 1) {
  const values = new Float32Array(Math.ceil(dataBytes / 4)).fill(fill);
  return { textVectors: { rows, columns, data: new Uint8Array(values.buffer, 0, dataBytes) } };
}

const rows: readonly Row[] = [
  {
    name: "no manifests",
    find: fails((client) => client.plan()),
    of: "call",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "the request has 0 manifests; 1 to 8 are planned at a time",
  },
  {
    name: "more manifests than allowed",
    find: fails((client) => client.plan(...Array.from({ length: 9 }, () => dense))),
    of: "call",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "the request has 9 manifests; 1 to 8 are planned at a time",
  },
  {
    name: "a manifest of more tensors than allowed",
    find: plan(manifest(Array.from({ length: 17 }, (_, i) => tensor(`t${i}`, [1])))),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: 'the manifest of "m" has 17 tensors; 16 are allowed. Leave out those of other layers',
  },
  {
    name: "a tensor twice in a manifest",
    find: plan(manifest([tensor("layer.weight", shape), tensor("layer.weight", shape)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DUPLICATE",
    message: 'tensor "layer.weight" stands twice in the manifest',
  },
  {
    name: "a model id that is too long",
    find: plan({ ...dense, modelId: "m".repeat(1025) }),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "model_id has 1025 characters; 1024 are allowed",
  },
  {
    name: "a tensor name that is too long",
    find: plan(manifest([tensor("t".repeat(1025), [1])])),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "a tensor's name has 1025 characters; 1024 are allowed",
  },
  {
    name: "an upload id that is too short",
    find: plan({ ...dense, uploadId: "short" }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 5 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "an upload id with a character that file names may not have",
    find: plan({ ...dense, uploadId: "../../../etc/passwd" }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 19 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "a tensor of too many dimensions",
    find: plan(manifest([tensor("layer.weight", [1, 1, 1, 1, 1, 1, 1, 6, 5])])),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: 'tensor "layer.weight" has 9 dimensions; 8 are read at most',
  },
  {
    name: "a shape whose product overflows",
    find: plan(manifest([tensor("layer.weight", [2n ** 40n, 2n ** 40n])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'tensor "layer.weight" has shape [1099511627776, 1099511627776], too large to count',
  },
  {
    name: "an extent of 2^64 - 1",
    find: plan(manifest([tensor("layer.weight", [2n ** 64n - 1n, 0])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'tensor "layer.weight" has shape [18446744073709551615, 0], too large to count',
  },
  {
    name: "a linear layer of the wrong height",
    find: plan(manifest([tensor("layer.weight", [7, 5])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "layer.weight" has the shape [7,5], read as a matrix of 7 rows; the expert reads 6. It may belong to another model tree. (for the expert "dense")',
  },
  {
    name: "a linear layer of the wrong width",
    find: plan(manifest([tensor("layer.weight", [6, 4])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "layer.weight" has the shape [6,4], read as a matrix of 4 columns; the expert reads 5. It may belong to another model tree. (for the expert "dense")',
  },
  {
    name: "a linear layer of one dimension",
    find: plan(manifest([tensor("layer.weight", [30])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "layer.weight" has the shape [30]; the layout "linear" reads [out, in], [out, in, 1] or [out, in, 1, 1]. (for the expert "dense")',
  },
  {
    name: "a transposed layer that is not",
    find: plan(manifest([tensor("gpt.weight", [6, 5])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "gpt.weight" has the shape [6,5], read as a matrix of 6 rows; the expert reads 5. It may belong to another model tree. (for the expert "transposed")',
  },
  {
    name: "a convolution of two dimensions",
    find: plan(manifest([tensor("conv.weight", [8, 4])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "conv.weight" has the shape [8,4]; the layout "conv" reads [out, in, kh, kw]. (for the expert "conv")',
  },
  {
    name: "a convolution of another kernel",
    find: plan(manifest([tensor("conv.weight", [4, 2, 3, 3])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "conv.weight" has the shape [4,2,3,3], read as a matrix of 18 rows; the expert reads 8. It may belong to another model tree. (for the expert "conv")',
  },
  {
    name: "a vector of two dimensions",
    find: plan(manifest([tensor("bias", [6, 1])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'Tensor "bias" has the shape [6,1]; the layout "vector" reads [n]. (for the expert "vector")',
  },
  {
    name: "a packed layer that ends before the slice does",
    find: plan(manifest([tensor("qkv.weight", [11, 5])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "qkv.weight" has the shape [11,5], read as a matrix of 11 rows; the expert reads at least 12. It may belong to another model tree. (for the expert "packed")',
  },
  {
    name: "LoRA factors of different rank",
    find: plan(manifest([tensor("mod.lora.down.weight", [2, 5]), tensor("mod.lora.up.weight", [6, 3])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'The LoRA factors of "mod" have the shapes [2,5] and [6,3]; their rank must be the same, from 1 to 4096. (for the expert "lora")',
  },
  {
    name: "LoRA factors of rank 0",
    find: plan(manifest([tensor("mod.lora.down.weight", [0, 5]), tensor("mod.lora.up.weight", [6, 0])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'The LoRA factors of "mod" have the shapes [0,5] and [6,0]; their rank must be the same, from 1 to 4096. (for the expert "lora")',
  },
  {
    name: "an alpha that is a vector",
    find: plan(manifest([...(lora.tensors ?? []), tensor("mod.lora.alpha", [3])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'Tensor "mod.lora.alpha" has the shape [3]; an alpha is one number, [] or [1]. (for the expert "lora")',
  },
  {
    name: "the same LoRA layer under two conventions",
    find: plan(
      manifest([...(lora.tensors ?? []), tensor("mod.lora_A.weight", [2, 5]), tensor("mod.lora_B.weight", [6, 2])]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DUPLICATE",
    message:
      'The model has two LoRA layers for "mod": "mod.lora.down.weight" and "mod.lora_A.weight"; remove one. (for the expert "lora")',
  },
  {
    name: "an integer layer",
    find: plan(manifest([tensor("layer.weight", shape, Dtype.UNSPECIFIED)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DTYPE_UNSUPPORTED",
    message:
      'Tensor "layer.weight" has the type "unspecified"; accepted are F64, F32, F16, BF16, F8_E4M3, F8_E5M2. Save it as one of these. (for the expert "dense")',
  },
  {
    name: "an 8-bit layer whose scale is per block",
    find: plan(manifest([tensor("layer.weight", shape, Dtype.F8_E4M3), tensor("layer.weight_scale", [2, 2])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'The scale "layer.weight_scale" has the shape [2,2]; "layer.weight" can be read with one number, or one for each row, [6] or [6, 1]. Save the model as F16 or BF16. (for the expert "dense")',
  },
  {
    name: "an 8-bit layer with a scale of unknown meaning",
    find: plan(manifest([tensor("layer.weight", shape, Dtype.F8_E4M3), tensor("layer.weight_scale_block", [1])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DTYPE_UNSUPPORTED",
    message:
      'The 8-bit weight "layer.weight" has a companion "layer.weight_scale_block", whose meaning is unknown; a scale is called weight_scale, weight_scale_inv or scale_weight. Save the model as F16 or BF16. (for the expert "dense")',
  },
  {
    name: "a model without the layer that the named expert reads",
    find: plan(manifest([tensor("other.weight", shape)], { experts: ["dense"] })),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message:
      'The model has no tensor "layer" or "layer.weight"; the nearest are "other.weight". It may belong to another model tree.',
  },
  {
    name: "a model that no expert reads",
    find: plan(manifest([tensor("other.weight", shape)])),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message:
      "none of the 10 experts finds its layer among the model's 1 tensors: classifier reads dense classified [6, 5]; conv reads dense conv [8, 4]; dense reads dense layer [6, 5]; large reads dense large [2048, 1100]; lora reads lora mod [6, 5]",
  },
  {
    name: "a model without tensors",
    find: plan(manifest([], { experts: ["lora"] })),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message: 'The model has no LoRA layer "mod", nor any LoRA layer. It may belong to another model tree.',
  },
  {
    name: "an expert that does not exist",
    find: plan({ ...dense, experts: ["nobody"] }),
    of: "model",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "nobody" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "an empty name of an expert",
    find: plan({ ...dense, experts: [""] }),
    of: "model",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "two experts that fit",
    find: plan(manifest([tensor("twin.weight", shape)])),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "EXPERT_AMBIGUOUS",
    message:
      "2 experts fit the model: twin-a (ff7cd00509fb), twin-b (32627d6a10f0); name one of them (`experts` of the manifest, --expert), or calibrate them (`probestream experts calibrate`) so that the weights choose: twin-a (ff7cd00509fb) was not",
  },
  {
    name: "the same expert twice",
    find: plan({ ...dense, experts: ["dense", "dense"] }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DUPLICATE",
    message: "the expert dense (6abf29ce949b) is asked for twice",
  },
  {
    name: "a request for an expert without a name",
    find: fails((client) => client.unary(ExpertService.method.getExpert, { expert: "" })),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "expert is empty; name one by space id or name",
  },
  {
    name: "a request for an expert that does not exist",
    find: fails((client) => client.unary(ExpertService.method.getExpert, { expert: "nobody" })),
    of: "call",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "nobody" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "a page token that no answer gave",
    find: fails((client) => client.unary(ExpertService.method.listExperts, { pageToken: "made-up" })),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "page_token is not one that ListExperts gave; start without one",
  },
  {
    name: "a chunk before the header",
    find: upload(dense, () => [toChunk(0, 0, denseBytes)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a chunk came before any header; open the model first",
  },
  {
    name: "a footer before the header",
    find: upload(dense, () => [toFooter(0)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a footer came before any header; open the model first",
  },
  {
    name: "a second header before the footer",
    find: upload(dense, (planned) => [toHeader(planned), toHeader(planned)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: 'a header came while model "m" is still open; send its footer first',
  },
  {
    name: "a chunk after the footer",
    find: upload(dense, (planned) => [...toModel(planned, [denseBytes]), toChunk(0, 0, denseBytes)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a chunk came before any header; open the model first",
  },
  {
    name: "a message without a part",
    find: upload(dense, (planned) => [toHeader(planned), {}]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a message holds neither header nor chunk nor footer",
  },
  {
    name: "bytes that are no message",
    find: upload(dense, () => [Buffer.from([0xff, 0xff, 0xff])]),
    of: "call",
    code: "INTERNAL",
    reason: undefined,
    message: "Error deserializing request",
  },
  {
    name: "a message of more than 4 MiB",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(4 * 1024 * 1024))]),
    of: "call",
    code: "RESOURCE_EXHAUSTED",
    reason: undefined,
    message: "Received message larger than max (4194314 vs 4194304)",
  },
  {
    name: "a stream that ends without a footer",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes)]),
    of: "model",
    code: "ABORTED",
    reason: "FOOTER_MISSING",
    message: 'the stream ended before the footer of model "m"; nothing of it was committed',
  },
  {
    name: "a header without an upload id",
    find: upload(dense, (planned) => [toHeader(planned, { uploadId: "" })]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 0 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "a header with an upload id of 129 characters",
    find: upload(dense, (planned) => [toHeader(planned, { uploadId: "u".repeat(129) })]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 129 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "a header with a model id that is too long",
    find: upload(dense, (planned) => [toHeader(planned, { modelId: "m".repeat(2000) })]),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "model_id has 2000 characters; 1024 are allowed",
  },
  {
    name: "a header without space ids",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { spaceIds: [] } })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "the header has no space_ids; copy those of the plan's targets",
  },
  {
    name: "a header with an unknown space id",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { spaceIds: ["0".repeat(64)] } })),
    of: "model",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "0000000000000000000000000000000000000000000000000000000000000000" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "a header without tensors",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { tensors: [] } })),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message: 'The model has no tensor "layer" or "layer.weight". It may belong to another model tree.',
  },
  {
    name: "a header with a range of no tensor",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { tensors: [{ endByte: 120n }] } })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "header.tensors[0].tensor is not set",
  },
  {
    name: "a header with another tensor than planned",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [{ tensor: tensor("other.weight", shape), endByte: 120n }] },
      }),
    ),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message:
      'The model has no tensor "layer" or "layer.weight"; the nearest are "other.weight". It may belong to another model tree.',
  },
  {
    name: "a header with one tensor too many",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [...planned.tensors, { tensor: tensor("other.weight", shape), endByte: 120n }] },
      }),
    ),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "layer.weight" 0 to 120; copy them from PlanEmbedding',
  },
  {
    name: "a header with half the range",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [{ tensor: tensor("layer.weight", shape), endByte: 60n }] },
      }),
    ),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "layer.weight" 0 to 120; copy them from PlanEmbedding',
  },
  {
    name: "a header with a range beyond 2^53",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [{ tensor: tensor("layer.weight", shape), endByte: 2n ** 63n }] },
      }),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "end_byte is 9223372036854775808; it can be 2^53 - 1 at most",
  },
  {
    name: "a header with the tensors in another order",
    find: upload(lora, (planned) =>
      toModel(planned, loraBytes, { header: { tensors: [...planned.tensors].reverse() } }),
    ),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "mod.lora.down.weight" 0 to 40, "mod.lora.up.weight" 0 to 48; copy them from PlanEmbedding',
  },
  {
    name: "a start offset that no upload reached",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { startOffsets: [120n] } })),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'start_offsets[0] is 120, but the server can go on from 0 of 120 bytes of "layer.weight" at most; ask PlanEmbedding again with the upload id',
  },
  {
    name: "a start offset in the middle of a segment",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { startOffsets: [60n] } })),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'start_offsets[0] is 60, but the server can go on from 0 of 120 bytes of "layer.weight" at most; ask PlanEmbedding again with the upload id',
  },
  {
    name: "a start offset behind the range",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { startOffsets: [8388608n] } })),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'start_offsets[0] is 8388608, but the server can go on from 0 of 120 bytes of "layer.weight" at most; ask PlanEmbedding again with the upload id',
  },
  {
    name: "text vectors of another width",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 7) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TEXT_WIDTH_MISMATCH",
    message: "text vectors are 7 wide, the expert compares with 6: use the text encoder it was trained with",
  },
  {
    name: "text vectors of too few bytes",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 6, 47) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: "text_vectors.data has 47 bytes; 2 × 6 float32 numbers take 48",
  },
  {
    name: "text vectors without columns",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 0) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: "text_vectors has 2 rows of 0 columns; a text vector is as wide as the expert's text_width",
  },
  {
    name: "more text vectors than allowed",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(11, 6) })),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "11 text vectors were sent; 10 are allowed",
  },
  {
    name: "text vectors with NaN",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 6, 48, Number.NaN) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "text vectors hold NaN or infinity; they must be finite",
  },
  {
    name: "a chunk of a tensor that the header does not have",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(1, 0, denseBytes), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "chunk.tensor_index is 1; the header has 1 tensors, counted from 0",
  },
  {
    name: "an empty chunk",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(0)), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: 'an empty chunk came for tensor "layer.weight"; send 1 byte or more',
  },
  {
    name: "a chunk that is longer than allowed",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(4097)), toFooter(120)]),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "a chunk has 4097 bytes; 4096 are allowed (--max-chunk)",
  },
  {
    name: "a chunk that leaves a gap",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 4, denseBytes.subarray(4)), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "OFFSET_MISMATCH",
    message: 'a chunk of tensor "layer.weight" starts at 4, the previous one ended at 0',
  },
  {
    name: "a chunk that overlaps the one before",
    find: upload(dense, (planned) => [
      toHeader(planned),
      toChunk(0, 0, denseBytes.subarray(0, 8)),
      toChunk(0, 4, denseBytes.subarray(4)),
      toFooter(120),
    ]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "OFFSET_MISMATCH",
    message: 'a chunk of tensor "layer.weight" starts at 4, the previous one ended at 8',
  },
  {
    name: "a chunk at offset 2^64 - 1",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 2n ** 64n - 1n, denseBytes), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "chunk.offset is 18446744073709551615; it can be 2^53 - 1 at most",
  },
  {
    name: "a chunk that reaches beyond the range",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(121)), toFooter(121)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_OVERRUN",
    message: 'bytes 0 to 121 came for tensor "layer.weight", whose range has 120',
  },
  {
    name: "a chunk after the last byte of the range",
    find: upload(dense, (planned) => [
      toHeader(planned),
      toChunk(0, 0, denseBytes),
      toChunk(0, 120, new Uint8Array(1)),
      toFooter(121),
    ]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_OVERRUN",
    message: 'bytes 120 to 121 came for tensor "layer.weight", whose range has 120',
  },
  {
    name: "a chunk of the second tensor before the first is complete",
    find: upload(lora, (planned) => [toHeader(planned), toChunk(1, 0, new Uint8Array(48)), toFooter(88)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "OFFSET_MISMATCH",
    message: "a chunk of tensor 1 came before tensor 0 was complete; tensors come in the header's order",
  },
  {
    name: "a footer before the last byte",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes.subarray(0, 119)), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_INCOMPLETE",
    message: 'the footer came after 119 of 120 bytes of tensor "layer.weight"; send the whole range first',
  },
  {
    name: "a footer without any byte of the second tensor",
    find: upload(lora, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(40)), toFooter(88)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_INCOMPLETE",
    message: 'the footer came after 0 of 48 bytes of tensor "mod.lora.up.weight"; send the whole range first',
  },
  {
    name: "a footer with another total",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(121)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_INCOMPLETE",
    message: "footer.total_bytes is 121, the ranges have 120 bytes together",
  },
  {
    name: "a footer with a total beyond 2^53",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(2n ** 64n - 1n)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "total_bytes is 18446744073709551615; it can be 2^53 - 1 at most",
  },
  {
    name: "a footer with another digest",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(120, new Uint8Array(32))]),
    of: "model",
    code: "DATA_LOSS",
    reason: "DIGEST_MISMATCH",
    message:
      "the bytes that arrived have digest e94440e6a71967d2f529bd5ba6ecafceacce0f40653898c1692b50a2a3d0ae43, the footer says 0000000000000000000000000000000000000000000000000000000000000000: they were damaged on the way, or the file changed during the upload; upload it again",
  },
  {
    name: "a footer with a digest of 5 bytes",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(120, new Uint8Array(5))]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "footer.digest has 5 bytes; a SHA-256 has 32, and without one the field stays empty",
  },
  {
    name: "one flipped bit",
    find: upload(dense, function* (planned) {
      const flipped = denseBytes.slice();
      flipped[7] = (flipped[7] ?? 0) ^ 1;
      yield toHeader(planned);
      yield toChunk(0, 0, flipped);
      yield toFooter(120, toDigest([denseBytes]));
    }),
    of: "model",
    code: "DATA_LOSS",
    reason: "DIGEST_MISMATCH",
    message:
      "the bytes that arrived have digest 04923f4c50347d6c6b43f930d12e480bbc4f37deea5f52bcc2c1b1eead5e30d1, the footer says e94440e6a71967d2f529bd5ba6ecafceacce0f40653898c1692b50a2a3d0ae43: they were damaged on the way, or the file changed during the upload; upload it again",
  },
  {
    name: "NaN among the weights",
    find: upload(dense, (planned) => toModel(planned, [withNumber(denseBytes, 13, Number.NaN)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has NaN at row 2, column 3; weights must be finite float32 numbers',
  },
  {
    name: "infinity among the weights",
    find: upload(dense, (planned) => toModel(planned, [withNumber(denseBytes, 29, Number.POSITIVE_INFINITY)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has Infinity at row 5, column 4; weights must be finite float32 numbers',
  },
  {
    name: "minus infinity among the weights, cut at every byte",
    find: upload(dense, (planned) =>
      toModel(planned, [withNumber(denseBytes, 0, Number.NEGATIVE_INFINITY)], { chunkBytes: 1 }),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has -Infinity at row 0, column 0; weights must be finite float32 numbers',
  },
  {
    name: "NaN in a float16 layer",
    find: upload(manifest([tensor("layer.weight", shape, Dtype.F16)]), (planned) => {
      const halves = new Uint16Array(30).fill(0x3c00);
      halves[11] = 0x7e00;
      return toModel(planned, [new Uint8Array(halves.buffer)]);
    }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has NaN at row 2, column 1; weights must be finite float32 numbers',
  },
  {
    name: "NaN in an 8-bit layer",
    find: upload(manifest([tensor("layer.weight", shape, Dtype.F8_E4M3)]), (planned) =>
      toModel(planned, [new Uint8Array(30).fill(0x38).fill(0x7f, 4, 5)]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has NaN at row 0, column 4; weights must be finite float32 numbers',
  },
  {
    name: "a float64 number beyond float32",
    find: upload(manifest([tensor("layer.weight", shape, Dtype.F64)]), (planned) =>
      toModel(planned, [new Uint8Array(new Float64Array(30).fill(1e300, 8, 9).buffer)]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has Infinity at row 1, column 3; weights must be finite float32 numbers',
  },
  {
    name: "NaN in a LoRA factor",
    find: upload(lora, (planned) =>
      toModel(planned, [loraBytes[0] ?? denseBytes, withNumber(loraBytes[1] ?? denseBytes, 5, Number.NaN)]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "mod.lora.up.weight" has NaN at row 2, column 1; weights must be finite float32 numbers',
  },
  {
    name: "weights whose projection overflows",
    find: upload(dense, (planned) => toModel(planned, [float32Bytes(new Float32Array(30).fill(3e38))])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message:
      'the projection of tensor "layer.weight" overflows float32: its numbers are finite but too large to be weights',
  },
  {
    name: "an alpha of NaN",
    find: upload(manifest([...(lora.tensors ?? []), tensor("mod.lora.alpha", [])]), (planned) =>
      toModel(planned, [float32Bytes(Float32Array.of(Number.NaN)), ...loraBytes]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "mod.lora.alpha" has NaN at row 0, column 0; weights must be finite float32 numbers',
  },
  {
    name: "an upload id that belongs to another model",
    find: async ({ client }) => {
      const uploadId = "an-upload-of-two-models";
      const planned = await client.planOne(manifest([tensor("large.weight", [2048, 1100])], { uploadId }));
      // More than one segment, so that there is something to resume.
      await client.upload([toHeader(planned), ...toChunks(0, new Uint8Array(2050 * 4096), 4096)]);
      return plan({ ...dense, uploadId })({ client } as Context);
    },
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'the upload id "an-upload-of-two-models" belongs to another model, other ranges or another expert; choose a new id',
  },
  {
    name: "an empty file",
    find: file(new Uint8Array(0), "empty.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message: '"empty.safetensors" has 0 bytes; a safetensors file starts with 8 bytes of header length.',
  },
  {
    name: "a file of 7 bytes",
    find: file(new Uint8Array(7), "short.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message: '"short.safetensors" has 7 bytes; a safetensors file starts with 8 bytes of header length.',
  },
  {
    name: "a file cut in its header",
    find: file(safetensors(`{"w":{${entry}}}`, 8).subarray(0, 30), "cut-header.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "cut-header.safetensors" has 54 bytes, but the file ends 32 bytes before its end: the file is cut short or no safetensors file.',
  },
  {
    name: "a file cut in its data",
    find: file(safetensors(`{"w":{${entry}}}`, 5), "cut-data.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      '"cut-data.safetensors" has 67 bytes; its header describes 70, so 3 are missing. It was cut short: download or copy it again.',
  },
  {
    name: "a file with bytes left over",
    find: file(safetensors(`{"w":{${entry}}}`, 9), "longer.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      '"longer.safetensors" has 1 bytes after its last tensor; there must be none. The file is damaged or written wrong.',
  },
  {
    name: "a file with a gap between tensors",
    find: file(safetensors(`{"w":{${entry}},"v":{${entry.replace("[0,8]", "[12,20]")}}}`, 20), "gap.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "v" of "gap.safetensors" leaves a gap of 4 bytes; tensors must follow each other. The file is damaged or written wrong.',
  },
  {
    name: "a file with tensors that overlap",
    find: file(safetensors(`{"w":{${entry}},"v":{${entry.replace("[0,8]", "[4,12]")}}}`, 12), "overlap.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "v" of "overlap.safetensors" overlaps the one before it by 4 bytes; tensors must follow each other. The file is damaged or written wrong.',
  },
  {
    name: "a header length beyond the file",
    find: file(safetensors("{}", 0, 3n), "liar.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "liar.safetensors" has 3 bytes, but the file ends 1 bytes before its end: the file is cut short or no safetensors file.',
  },
  {
    name: "a header length beyond 100 MB",
    find: file(safetensors("{}", 0, 2n ** 63n), "giant.safetensors"),
    of: "file",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message:
      'The header of "giant.safetensors" claims 9223372036854775808 bytes; at most 100000000 are allowed. The file is damaged or no safetensors file.',
  },
  {
    name: "a header length that cuts the JSON",
    find: file(safetensors(`{"w":{${entry}}}`, 8, 9n), "cut-json.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "cut-json.safetensors" has a string without an end (at character 6); the file is damaged or not what its name says.',
  },
  {
    name: "a header that is no JSON",
    find: file(safetensors("{this is not JSON}"), "garbage.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "garbage.safetensors" needs a key in quotes (at character 1); the file is damaged or not what its name says.',
  },
  {
    name: "a header that is no UTF-8",
    find: file(safetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "latin.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message: 'The header of "latin.safetensors" is not UTF-8; the file is damaged.',
  },
  {
    name: "a header nested 5000 levels deep",
    find: file(safetensors(`{"w":${"[".repeat(5000)}${"]".repeat(5000)}}`), "deep.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "deep.safetensors" is nested deeper than the 8 levels allowed (at character 12); the file is damaged or not what its name says.',
  },
  {
    name: "a header with a tensor twice",
    find: file(safetensors(`{"w":{${entry}},"w":{${entry}}}`, 8), "twice.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "twice.safetensors" has the key "w" twice; every name may stand once (at character 57); the file is damaged or not what its name says.',
  },
  {
    name: "a header with a shape beyond 2^53",
    find: file(safetensors(`{"w":{${entry.replace("[2]", "[4294967296,4294967296]")}}}`, 8), "huge.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "w" of "huge.safetensors" has the shape [4294967296,4294967296], whose size is beyond 2^53; no file is that large.',
  },
  {
    name: "a header with a shape that is not its bytes",
    find: file(safetensors(`{"w":{${entry.replace("[2]", "[3]")}}}`, 8), "misfit.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "w" of "misfit.safetensors" has 8 bytes; "F32" of shape [3] needs 12. The file is damaged or written wrong.',
  },
  {
    name: "a header with negative offsets",
    find: file(safetensors(`{"w":{${entry.replace("[0,8]", "[-8,0]")}}}`, 8), "negative.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "w" of "negative.safetensors" has a data_offsets with an entry that is no whole number from 0 to 2^53 - 1.',
  },
  {
    name: "a pickled file",
    find: file(Buffer.from("\x80\x04\x95rest of a pickle", "latin1"), "pytorch_model.bin"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "FORMAT_REFUSED",
    message:
      '"pytorch_model.bin" is a pickled file; only safetensors and PyTorch\'s zip archives are read. Pickled files can run code when they are read. Convert it where you trust it: python -c \'import torch, safetensors.torch as s; s.save_file(torch.load("pytorch_model.bin", weights_only=True, map_location="cpu"), "model.safetensors")\'',
  },
  {
    name: "a pickled file that is called safetensors",
    find: file(Buffer.from("\x80\x02rest of a pickle", "latin1"), "pickle.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "FORMAT_REFUSED",
    message:
      '"pickle.safetensors" is a pickled file; only safetensors and PyTorch\'s zip archives are read. Pickled files can run code when they are read. Convert it where you trust it: python -c \'import torch, safetensors.torch as s; s.save_file(torch.load("pickle.safetensors", weights_only=True, map_location="cpu"), "model.safetensors")\'',
  },
  {
    name: "a PyTorch archive that is cut off",
    find: file(Buffer.from("PK\x03\x04archive/data.pkl", "latin1"), "model.pt"),
    of: "file",
    code: "DATA_LOSS",
    reason: "CORRUPT",
    message:
      '"model.pt" is not an archive as PyTorch writes them: End of central directory record signature not found. Either not a zip file, or file is truncated. Save or download it again.',
  },
  {
    name: "a GGUF file",
    find: file(Buffer.from("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00", "latin1"), "model.gguf"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "FORMAT_REFUSED",
    message:
      '"model.gguf" is a GGUF or GGML file, whose weights are mostly quantised; only safetensors and PyTorch\'s zip archives are read. Give the safetensors file that it was made from.',
  },
];

for (const { name, find, ...expected } of rows) {
  test(`it is refused: ${name}`, async (t) => {
    const { message, ...found } = await find(t.context);
    const { message: expectedMessage, ...kind } = expected;
    t.deepEqual(found, kind, message);
    if (typeof expectedMessage === "string") t.is(message, expectedMessage);
    else t.regex(message, expectedMessage);
  });
}

test("the table has at least 45 rows, each with a name of its own", (t) => {
  t.true(rows.length >= 45, `${rows.length}`);
  t.is(new Set(rows.map(({ name }) => name)).size, rows.length);
});

test.after("after all of it nothing is open, nothing but experts is reserved and no fault was reported", async (t) => {
  const { memoryPlan } = await t.context.client.serverInfo();
  t.is(memoryPlan?.openStreams, 0);
  const { reservedBytes = 0n, expertBytes = 0n, connectionBytes = 0n } = memoryPlan ?? {};
  t.is(reservedBytes, expertBytes + connectionBytes);
  t.deepEqual(t.context.server.faults, []);
});
