import { parentPort, workerData } from "node:worker_threads";
import type { ComputeBackend } from "../compute/compute-backend.js";
import { toPlainError } from "../errors/plain-error.js";
import { InternalError } from "../errors/probestream-error.js";
import { rangeBytes } from "../projection/stored-matrix.js";
import { openSketchKernel } from "../trees/sketches/sketch-kernel.js";
import { collectGarbage } from "./collect-garbage.js";
import type { BlockOperation, ComputeModule, FromWorker, ToWorker, WorkerSettings } from "./embed-messages.js";
import { lowerPriority } from "./lower-priority.js";
import { type ModelProjection, openModelProjection, type ProjectionTarget } from "./model-projection.js";
import { type FinishedModel, representModels, type TextVectors } from "./represent-models.js";
import { loadResidentExpert, loadResidentProbes, type ResidentExpert } from "./resident-expert.js";
import { openSummedProjection } from "./summed-projection.js";

/** A model of a stream between its `open` and its `close`. */
interface OpenModel extends Omit<FinishedModel, "responses" | "weightsHash"> {
  readonly model: number;
  readonly projection: ModelProjection;
  readonly resumable: boolean;
}

/** A model whose layer is complete and whose representation is still to be computed. */
type ClosedModel = OpenModel & FinishedModel;

/** What a worker keeps of a stream. */
interface Stream {
  /** Absent between models, and after a failure until the next `open`. */
  open: OpenModel | undefined;
  /** Text vectors in force. */
  texts: TextVectors | undefined;
}

const port = parentPort;
if (port === null) throw new InternalError("INTERNAL", "embed-worker runs in a worker thread only");
const post = (message: FromWorker, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, [...transfer]);

lowerPriority();
const settings = workerData as WorkerSettings;
const holdsProbes = settings.holds === "probes";
const backend = await openBackend(settings);
const kernel = await openSketchKernel();
const residents = new Map<string, ResidentExpert>();
const streams = new Map<number, Stream>();

// Messages are handled one after another: a backend belongs to one caller at a time.
let queue: Promise<void> = Promise.resolve();
port.on("message", (message: ToWorker) => {
  queue = queue.then(() => handle(message));
});
post({ type: "ready", name: backend.name, device: backend.device });

async function openBackend({ computeModule, backends }: WorkerSettings): Promise<ComputeBackend> {
  const module: ComputeModule = await import(computeModule);
  return module.createBackend(backends, tell);
}

/** Tells of a fault that ends nothing. */
function tell(fault: unknown): void {
  post({ type: "fault", error: toPlainError(fault) });
}

/** Lets something go. What fails in that is lost anyway, and concerns nobody who waits for an answer. */
async function letGo(held: { dispose(): Promise<void> } | undefined): Promise<void> {
  await held?.dispose().catch(tell);
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.type) {
    case "load":
      return load(message.request, message.spaceId, message.folder);
    case "unload": {
      const expert = residents.get(message.spaceId);
      residents.delete(message.spaceId);
      return letGo(expert);
    }
    case "end": {
      const stream = streams.get(message.stream);
      streams.delete(message.stream);
      return letGo(stream?.open?.projection);
    }
    case "close":
      port?.close();
      return letGo(backend);
    case "block": {
      const stream = streams.get(message.stream) ?? { open: undefined, texts: undefined };
      streams.set(message.stream, stream);
      await runBlock(message.stream, stream, message.buffer, message.operations);
      return;
    }
  }
}

async function load(request: number, spaceId: string, folder: string): Promise<void> {
  try {
    const loadNew = holdsProbes ? loadResidentProbes : loadResidentExpert;
    const expert = residents.get(spaceId) ?? (await loadNew(backend, folder, spaceId));
    residents.set(spaceId, expert);
    collectGarbage();
    post({ type: "loaded", request });
  } catch (error) {
    post({ type: "not-loaded", request, error: toPlainError(error) });
  }
}

/** Runs a block's operations; a failure ends its model, never the block. */
async function runBlock(
  id: number,
  stream: Stream,
  buffer: ArrayBuffer,
  operations: readonly BlockOperation[],
): Promise<void> {
  const finished: ClosedModel[] = [];
  let model = -1;
  for (const operation of operations) {
    model = operation.op === "open" ? operation.model : (stream.open?.model ?? model);
    try {
      const done = await runOperation(id, stream, buffer, operation);
      if (done !== undefined) finished.push(done);
    } catch (error) {
      await fail(id, stream, model, error);
    }
  }
  post({ type: "block-done", stream: id, buffer }, [buffer]);
  if (finished.length === 0) return;
  const results = await representModels(finished).catch((error: unknown) => finished.map(() => ({ error })));
  for (const [index, { model }] of finished.entries()) {
    const result = results[index] ?? { error: new InternalError("INTERNAL", "a model was left out") };
    if ("error" in result) post({ type: "failed", stream: id, model, error: toPlainError(result.error) });
    else post({ type: "result", stream: id, model, result });
  }
}

async function fail(id: number, stream: Stream, model: number, error: unknown): Promise<void> {
  const open = stream.open;
  stream.open = undefined;
  post({ type: "failed", stream: id, model, error: toPlainError(error) });
  await letGo(open?.projection);
}

async function runOperation(
  id: number,
  stream: Stream,
  buffer: ArrayBuffer,
  operation: BlockOperation,
): Promise<ClosedModel | undefined> {
  if (operation.op === "texts") {
    stream.texts = operation.texts && { vectors: operation.texts, images: new Map() };
    return undefined;
  }
  if (operation.op === "open") {
    const givenUp = stream.open;
    stream.open = undefined;
    await letGo(givenUp?.projection);
    stream.open = await openModel(operation, stream.texts);
    return undefined;
  }
  const open = stream.open;
  // What still comes of a model that failed is passed over.
  if (open === undefined) return undefined;
  const { projection } = open;
  switch (operation.op) {
    case "bytes":
      await projection.accept(operation.tensor, new Uint8Array(buffer, operation.at, operation.length), async () => {
        if (open.resumable)
          post({ type: "checkpoint", stream: id, model: open.model, state: await projection.state() });
      });
      return undefined;
    case "close": {
      if (holdsProbes) return closeSums(id, stream, open, operation.digest);
      const responses = await projection.finish(operation.digest);
      stream.open = undefined;
      await letGo(projection);
      return { ...open, responses, weightsHash: Buffer.from(projection.digest()).toString("hex") };
    }
  }
}

/** Closes a model whose sums are all that is wanted. */
async function closeSums(
  id: number,
  stream: Stream,
  open: OpenModel,
  digest: Uint8Array | undefined,
): Promise<undefined> {
  const { model, projection } = open;
  const sums = await projection.sums(digest);
  const { rowsProjected, times } = projection;
  const backends = projection.uses();
  stream.open = undefined;
  await letGo(projection);
  const { weightsHash } = sums;
  const result = { targets: [], sums, rowsProjected, weightsHash, times: { ...times, headMs: 0 }, backends };
  post({ type: "result", stream: id, model, result });
}

async function openModel(
  operation: Extract<BlockOperation, { op: "open" }>,
  texts: TextVectors | undefined,
): Promise<OpenModel> {
  const { model, tensors, targets, state: saved, resumable, isRouted, sums } = operation;
  const experts = targets.map(({ spaceId }) => ({ spaceId, expert: residentExpert(spaceId) }));
  const withExperts: ProjectionTarget[] = [];
  for (const target of targets) {
    const { projector, tree } = residentExpert(target.spaceId);
    withExperts.push({ ...target, projector, tree: await tree(target.treeKey) });
  }
  return {
    model,
    trees: withExperts.map(({ tree }) => tree),
    projection:
      sums === undefined
        ? await openModelProjection(tensors, withExperts, { saved, isRouted, kernel, wantsSums: holdsProbes })
        : await openSummedProjection(tensors, withExperts, sums, { isRouted, kernel }),
    experts,
    texts,
    resumable,
    isRouted,
    totalBytes: tensors.reduce((sum, matrix) => sum + rangeBytes(matrix), 0),
  };
}

function residentExpert(spaceId: string): ResidentExpert {
  const expert = residents.get(spaceId);
  if (expert === undefined) throw new InternalError("INTERNAL", `the expert ${spaceId} is not loaded in this worker`);
  return expert;
}
