import { type Catalogue, openCatalogue } from "../../src/experts/catalogue.js";
import type { EmbedStream, ModelEmbedding, ModelHeader, ModelOutcome } from "../../src/search/embed-stream.js";
import { type EmbedderOptions, startEmbedder } from "../../src/search/embedder.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { planModel } from "../../src/search/plan-model.js";
import type { TensorInfo } from "../../src/weights/layer.js";
import type { TensorData } from "../../src/weights/safetensors-writer.js";
import { cut, digestOf } from "./stored-layer.js";
import type { Teardown } from "./temporary-folder.js";

/** Starts an embedder with one worker of `wasm`, which starts fast, over a folder of experts; it is closed after the test. */
export async function startTestEmbedder(
  t: Teardown,
  experts: string | Catalogue,
  options: Partial<EmbedderOptions> = {},
): Promise<Embedder> {
  const catalogue = typeof experts === "string" ? openCatalogue(experts) : experts;
  const embedder = await startEmbedder({ catalogue, backend: "wasm", workerCount: 1, ...options });
  t.teardown(() => embedder.close());
  return embedder;
}

/** A model with its bytes. */
export interface TestModel {
  readonly modelId: string;
  readonly tensors: readonly TensorData[];
  readonly experts: readonly string[];
  /** Empty for one that the plan chooses. */
  readonly uploadId?: string;
}

/** A planned model: its header, and the bytes of each range. */
export interface PlannedModel {
  readonly header: ModelHeader;
  readonly ranges: readonly Uint8Array[];
  readonly totalBytes: number;
  readonly digest: Uint8Array;
}

/** What a file's header would say. */
export function toManifest(tensors: readonly TensorData[]): ReadonlyMap<string, TensorInfo> {
  return new Map(tensors.map(({ name, dtype, shape }) => [name, { name, dtype, shape }]));
}

/** Asks for a plan, and prepares all that is to be sent under it. */
export async function planTestModel(embedder: Embedder, model: TestModel): Promise<PlannedModel> {
  const { modelId, tensors, experts, uploadId = "" } = model;
  const { answer } = await planModel(embedder, { uploadId, tensors: toManifest(tensors), experts });
  const bytes = new Map(tensors.map((tensor) => [tensor.name, tensor.bytes]));
  const ranges = answer.tensors.map(
    ({ tensor, beginByte, endByte }) => bytes.get(tensor.name)?.subarray(beginByte, endByte) ?? new Uint8Array(0),
  );
  return {
    header: {
      modelId,
      uploadId: answer.uploadId,
      tensors: answer.tensors,
      experts: answer.experts,
      isRouted: answer.isRouted,
      startOffsets: answer.starts.map(({ offset }) => offset),
    },
    ranges,
    totalBytes: ranges.reduce((sum, range) => sum + range.byteLength, 0),
    digest: digestOf(ranges),
  };
}

/** Sends all chunks of a model, from where its header says. */
export async function sendChunks(
  stream: EmbedStream,
  { header, ranges }: PlannedModel,
  chunkBytes: number,
): Promise<void> {
  for (const [tensor, range] of ranges.entries()) {
    let offset = header.startOffsets[tensor] ?? 0;
    for (const chunk of cut(range.subarray(offset), chunkBytes)) {
      await stream.chunk(tensor, offset, chunk);
      offset += chunk.byteLength;
    }
  }
}

/** Sends a model from header to footer. */
export async function sendModel(
  stream: EmbedStream,
  planned: PlannedModel,
  options: { readonly chunkBytes?: number; readonly texts?: ModelHeader["texts"] } = {},
): Promise<void> {
  const { chunkBytes = 1024 * 1024 - 4096, texts } = options;
  await stream.header({ ...planned.header, ...(texts !== undefined && { texts }) });
  await sendChunks(stream, planned, chunkBytes);
  await stream.footer({ totalBytes: planned.totalBytes, digest: planned.digest });
}

/** The result of a model that must have one. */
export function toEmbedding(outcome: ModelOutcome | undefined): ModelEmbedding {
  if (outcome === undefined) throw new Error("there is no outcome");
  if (outcome.outcome instanceof Error) throw outcome.outcome;
  return outcome.outcome;
}

/** Plans, sends and embeds one model on a stream of its own. */
export async function embedModel(embedder: Embedder, model: TestModel): Promise<ModelEmbedding> {
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, model));
  const [outcome] = await stream.finish();
  return toEmbedding(outcome);
}
