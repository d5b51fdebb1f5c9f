import { ProbestreamError } from "../errors/probestream-error.js";
import type { FullRecord, RetrievalPort } from "../retrieval/retrieval-port.js";
import type { EmbedPort, ModelPlan } from "../search/embed-port.js";
import { toModelId } from "../search/plan-request.js";
import { isHttpUrl } from "../weights/http-url.js";
import { mapConcurrently } from "../weights/map-concurrently.js";
import { type ModelFile, type ModelOptions, openModel } from "../weights/model-file.js";
import type { IndexTarget } from "./index-targets.js";
import { readLayerDigest } from "./layer-digest.js";

/** What is looked at, and who hears of it. */
export interface SkipOptions {
  readonly catalogue: RetrievalPort;
  readonly port: EmbedPort;
  readonly experts: readonly string[];
  readonly modelOptions: (location: string) => Omit<ModelOptions, "signal">;
  /** Leave out what has the weights of a model that is there under another id, or came before it. */
  readonly skipsCopies: boolean;
  /** The base that a model is to have; one that is there with another is indexed again. Undefined: any. */
  readonly baseOf: (target: IndexTarget) => string | undefined;
  readonly signal: AbortSignal;
  /** Hears of a model that is left out, with its record, or of what it is a copy of. */
  readonly onSkipped: (target: IndexTarget, why: Skipped) => Promise<void>;
  /** Hears what the catalogue has of a model under its id, before the model is given out. */
  readonly onThere?: (target: IndexTarget, records: readonly FullRecord[]) => void;
  /** Hears of a copy that is indexed all the same. */
  readonly onCopy: (target: IndexTarget, copyOf: string) => void;
}

/** Why a model is left out. */
export type Skipped = { readonly record: FullRecord } | { readonly copyOf: string };

/** Models looked at together. Their layers are read, and read again when they are sent: few, so that they stay in memory. */
const modelsAtOnce = 64;

/** Headers read at once, layers, and changes of metadata. */
const [headersAtOnce, layersAtOnce, changesAtOnce] = [8, 2, 16];

/**
 * Leaves out models that the catalogue has under their ids with the same weights, in every space that they would go to. Of
 * remote models the id decides: to compare weights would be to download them.
 *
 * Models that cannot be looked at are given out: whoever embeds them finds out why.
 *
 * Memory: 64 models' headers, and a digest for each model seen.
 *
 * @throws the signal's reason; what the catalogue throws.
 */
export async function* skipIndexed(
  targets: readonly IndexTarget[],
  options: SkipOptions,
): AsyncGenerator<IndexTarget, void, undefined> {
  const { catalogue, skipsCopies, baseOf, signal, onSkipped, onCopy, onThere } = options;
  const seen = new Map<string, string>();
  for (let at = 0; at < targets.length; at += modelsAtOnce) {
    signal.throwIfAborted();
    const batch = targets.slice(at, at + modelsAtOnce);
    const records = await catalogue.getModels({ modelIds: batch.map(({ id }) => id) });
    const ids = new Set(records.map(({ id }) => id));
    const looked = await look(batch, ids, options);
    const digests = [...new Set(looked.flatMap(({ digest }) => digest ?? []))];
    const known = digests.length === 0 ? [] : await catalogue.getModels({ weightsHashes: digests });
    for (const { weightsHash, id } of known) if (!seen.has(weightsHash)) seen.set(weightsHash, id);
    const skipped: (readonly [IndexTarget, Skipped])[] = [];
    const wanted: IndexTarget[] = [];
    for (const { target, plan, digest } of looked) {
      const there = plan === undefined ? undefined : findThere(records, target, plan, digest);
      const base = baseOf(target);
      if (there !== undefined && (base === undefined || base === there.base)) {
        skipped.push([target, { record: there }]);
        continue;
      }
      const copyOf = digest === undefined ? undefined : seen.get(digest);
      if (copyOf !== undefined && copyOf !== target.id) {
        if (skipsCopies) {
          skipped.push([target, { copyOf }]);
          continue;
        }
        onCopy(target, copyOf);
      }
      if (digest !== undefined && copyOf === undefined) seen.set(digest, target.id);
      wanted.push(target);
      if (ids.has(target.id)) {
        onThere?.(
          target,
          records.filter(({ id }) => id === target.id),
        );
      }
    }
    // Each may have its metadata written, which waits for the disk.
    await mapConcurrently(skipped, changesAtOnce, ([target, why]) => onSkipped(target, why));
    yield* wanted;
  }
}

/** Gives out all models, and tells of each what the catalogue has under its id: see {@link SkipOptions.onThere}. */
export async function* withRecords(
  targets: readonly IndexTarget[],
  { catalogue, signal, onThere }: Pick<SkipOptions, "catalogue" | "signal"> & Required<Pick<SkipOptions, "onThere">>,
): AsyncGenerator<IndexTarget, void, undefined> {
  for (let at = 0; at < targets.length; at += modelsAtOnce) {
    signal.throwIfAborted();
    const batch = targets.slice(at, at + modelsAtOnce);
    const records = await catalogue.getModels({ modelIds: batch.map(({ id }) => id) });
    for (const target of batch) {
      const there = records.filter(({ id }) => id === target.id);
      if (there.length > 0) onThere(target, there);
      yield target;
    }
  }
}

interface Looked {
  readonly target: IndexTarget;
  /** Absent of what was not planned: of remote models that are not there, and where something is wrong. */
  readonly plan?: ModelPlan;
  /** Absent of remote models. */
  readonly digest?: string;
}

async function look(
  batch: readonly IndexTarget[],
  ids: ReadonlySet<string>,
  { port, experts, modelOptions, signal }: SkipOptions,
): Promise<readonly Looked[]> {
  const opened: ModelFile[] = [];
  try {
    const models = await mapConcurrently(batch, headersAtOnce, async ({ location, id }) => {
      if (isHttpUrl(location) && !ids.has(id)) return undefined;
      const model = await unlessWrong(openModel(location, { ...modelOptions(location), signal }), signal);
      if (model !== undefined) opened.push(model);
      return model;
    });
    const plans = await toPlans(opened, port, experts, signal);
    return await mapConcurrently([...batch.entries()], layersAtOnce, async ([index, target]): Promise<Looked> => {
      const model = models[index];
      const plan = model === undefined ? undefined : plans.get(model);
      if (model === undefined || plan === undefined) return { target };
      if (model.remote) return { target, plan };
      const digest = await unlessWrong(readLayerDigest(model, plan, signal), signal);
      return digest === undefined ? { target } : { target, plan, digest };
    });
  } finally {
    await Promise.all(opened.map((model) => model.close().catch(() => {})));
  }
}

async function toPlans(
  models: readonly ModelFile[],
  port: EmbedPort,
  experts: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<ModelFile, ModelPlan>> {
  if (models.length === 0) return new Map();
  const requests = models.map(({ location, tensors }) => ({
    ...{ modelId: toModelId(location), uploadId: "", tensors, metadata: new Map(), experts },
  }));
  const answers = await port.plan(requests, signal);
  const plans = new Map<ModelFile, ModelPlan>();
  for (const [index, model] of models.entries()) {
    const answer = answers[index];
    if (answer !== undefined && !(answer instanceof ProbestreamError)) plans.set(model, answer);
  }
  return plans;
}

/** The record of a model where it is in every space that it would go to; of a routed one, in the space of one candidate. */
function findThere(
  records: readonly FullRecord[],
  { id }: IndexTarget,
  { experts, isRouted }: ModelPlan,
  digest: string | undefined,
): FullRecord | undefined {
  const found = experts.map((spaceId) =>
    records.find(
      (record) =>
        record.id === id && record.spaceId === spaceId && (digest === undefined || record.weightsHash === digest),
    ),
  );
  const there = found.filter((record) => record !== undefined);
  return isRouted || there.length === found.length ? there[0] : undefined;
}

async function unlessWrong<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ProbestreamError) return undefined;
    throw error;
  }
}
