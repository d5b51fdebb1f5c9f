import { parentPort, workerData } from "node:worker_threads";
import type { ComputeBackend, Matrix } from "../compute/compute-backend.js";
import { toPlainError } from "../errors/plain-error.js";
import { InternalError } from "../errors/probestream-error.js";
import type { Head } from "../experts/head.js";
import { rangeBytes } from "../projection/stored-matrix.js";
import { openSketchKernel } from "../trees/sketches/sketch-kernel.js";
import type { Tree } from "../trees/tree.js";
import { chooseRepresentation, type RepresentedTarget, toRepresentationMatch } from "./choose-representation.js";
import { collectGarbage } from "./collect-garbage.js";
import type {
  BlockOperation,
  ComputeModule,
  FromWorker,
  TargetResult,
  ToWorker,
  WorkerSettings,
} from "./embed-messages.js";
import type { TargetResponses } from "./finish-targets.js";
import { lowerPriority } from "./lower-priority.js";
import { type ModelProjection, openModelProjection, type ProjectionTarget } from "./model-projection.js";
import { loadResidentExpert, loadResidentProbes, type ResidentExpert } from "./resident-expert.js";
import { openSummedProjection } from "./summed-projection.js";

/** A model of a stream between its `open` and its `close`. */
interface OpenModel {
  readonly model: number;
  readonly projection: ModelProjection;
  readonly experts: readonly { readonly spaceId: string; readonly expert: ResidentExpert }[];
  /** Per target. */
  readonly trees: readonly (Tree | undefined)[];
  readonly texts: TextVectors | undefined;
  readonly resumable: boolean;
  readonly isRouted: boolean;
  readonly totalBytes: number;
}

/** What a worker keeps of a stream. */
interface Stream {
  /** Absent between models, and after a failure until the next `open`. */
  open: OpenModel | undefined;
  /** Text vectors in force. */
  texts: TextVectors | undefined;
}

/** Text vectors and their images H·t + c in the spaces that asked so far. */
interface TextVectors {
  readonly vectors: Matrix;
  readonly images: Map<string, Promise<Matrix>>;
}

/** A model whose layer is complete and whose representation is still to be computed. */
interface FinishedModel extends OpenModel {
  readonly responses: readonly TargetResponses[];
  readonly weightsHash: string;
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
  const finished: FinishedModel[] = [];
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
  try {
    await runHeads(id, finished);
  } catch (error) {
    for (const done of finished) post({ type: "failed", stream: id, model: done.model, error: toPlainError(error) });
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
): Promise<FinishedModel | undefined> {
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

function headOf({ head }: ResidentExpert): Head {
  if (head === undefined) throw new InternalError("INTERNAL", "this worker holds probes, which represent nothing");
  return head;
}

/** One target of a finished model. */
interface HeadJob extends TargetResponses {
  readonly spaceId: string;
  readonly expert: ResidentExpert;
  readonly representation: Float32Array;
}

/** Representations and scores of all models that a block completed: one pass over M for all of them. */
async function runHeads(id: number, finished: readonly FinishedModel[]): Promise<void> {
  const started = performance.now();
  const encoded = await encodeAll(finished);
  const outcomes: (readonly TargetResult[] | { readonly error: unknown })[] = [];
  for (const [model, done] of finished.entries()) {
    try {
      outcomes.push(await scoreAll(done, encoded[model] ?? []));
    } catch (error) {
      outcomes.push({ error });
    }
  }
  const headMs = (performance.now() - started) / finished.length;
  for (const [index, { model, projection, weightsHash }] of finished.entries()) {
    const targets = outcomes[index] ?? [];
    if ("error" in targets) {
      post({ type: "failed", stream: id, model, error: toPlainError(targets.error) });
    } else {
      const { rowsProjected, times } = projection;
      const backends = projection.uses();
      const result = { targets, rowsProjected, weightsHash, times: { ...times, headMs }, backends };
      post({ type: "result", stream: id, model, result });
    }
  }
}

/** The representations of each model's targets. */
async function encodeAll(finished: readonly FinishedModel[]): Promise<HeadJob[][]> {
  const jobs = finished.flatMap(({ experts, responses }, model) =>
    responses.flatMap((one) => {
      const use = experts[one.target];
      return use === undefined ? [] : [{ model, ...one, ...use }];
    }),
  );
  const encoded = finished.map((): HeadJob[] => []);
  const bySpace = new Map<string, typeof jobs>();
  for (const job of jobs) bySpace.set(job.spaceId, [...(bySpace.get(job.spaceId) ?? []), job]);
  for (const sameSpace of bySpace.values()) {
    const { expert } = sameSpace[0] as (typeof jobs)[number];
    const representations = await headOf(expert).encode(sameSpace.map(({ responses }) => responses));
    for (const [index, job] of sameSpace.entries()) {
      encoded[job.model]?.push({ ...job, representation: representations[index] as Float32Array });
    }
  }
  for (const own of encoded) own.sort((a, b) => a.target - b.target);
  return encoded;
}

/** Scores of a model's targets; of those of a routed LoRA layer the one in whose tree its representation lies. */
async function scoreAll(done: FinishedModel, jobs: readonly HeadJob[]): Promise<TargetResult[]> {
  const represented = jobs.flatMap(({ target, spaceId, representation }): RepresentedTarget[] => {
    const tree = done.trees[target];
    const gaussian = tree?.gaussian;
    return tree === undefined || gaussian === undefined
      ? []
      : [{ target, spaceId, tree: { ...tree, gaussian }, representation }];
  });
  const isOpen = done.isRouted && jobs.some(({ match }) => match === undefined);
  const chosen = isOpen ? chooseRepresentation(represented, done.totalBytes) : undefined;
  const results: TargetResult[] = [];
  for (const { target, spaceId, expert, representation, match } of jobs) {
    if (chosen !== undefined && target !== chosen.target) continue;
    const own = represented.find((one) => one.target === target);
    results.push({
      target,
      representation,
      cosines: await score(spaceId, expert, done.texts, representation),
      logits: headOf(expert).logits(representation),
      tree: chosen?.match ?? match ?? (own && toRepresentationMatch(own)),
    });
  }
  return results;
}

async function score(
  spaceId: string,
  expert: ResidentExpert,
  texts: TextVectors | undefined,
  representation: Float32Array,
): Promise<Float32Array> {
  const head = headOf(expert);
  if (texts === undefined || !head.hasTextHead) return new Float32Array(0);
  let images = texts.images.get(spaceId);
  if (images === undefined) {
    images = head.toTextImages(texts.vectors);
    texts.images.set(spaceId, images);
    // What failed once may work for the next model.
    images.catch(() => texts.images.delete(spaceId));
  }
  return head.cosines(representation, await images);
}
