import { setMaxListeners } from "node:events";
import type { Matrix } from "../compute/compute-backend.js";
import { toProbestreamError } from "../errors/plain-error.js";
import { ProbestreamError } from "../errors/probestream-error.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { ModelContent } from "../weights/model-content.js";
import { type ModelFile, type ModelOptions, openModel } from "../weights/model-file.js";
import { toDisplayLocation } from "../weights/to-display-location.js";
import { type Batcher, createBatcher } from "./embed-files-batcher.js";
import { createPermits } from "./embed-files-permits.js";
import { createProgressCounter, type EmbedProgress } from "./embed-files-progress.js";
import { createQueue } from "./embed-files-queue.js";
import { createTaskGroup } from "./embed-files-tasks.js";
import type { EmbedPort, PortResult } from "./embed-port.js";
import { unlessAborted } from "./unless-aborted.js";
import { Upload, wantedBytes } from "./upload.js";
import { planUploads, type UploadContext, uploadModels } from "./upload-models.js";

/** How many models are embedded. */
export interface EmbedFilesOptions {
  /** Experts by name or space id; empty where the only one that fits a model may serve. Default empty. */
  readonly experts?: readonly string[] | undefined;
  /** Text vectors to compare representations with, one per row. */
  readonly texts?: Matrix | undefined;
  /** Streams at once. Default 4. */
  readonly concurrency?: number | undefined;
  /** Headers and tokens by location, so that each server is told its own only. Default none. */
  readonly modelOptions?: ((location: string) => Omit<ModelOptions, "signal">) | undefined;
  /**
   * What is to be known of a model in the catalogue, asked for when the model is opened, with its location (or name) and
   * its place; undefined for one that is not to be indexed. What it throws is that model's error. Default: none is indexed.
   */
  readonly index?:
    | ((model: ModelFile, location: string, place: number) => IndexFacts | undefined | Promise<IndexFacts | undefined>)
    | undefined;
  /** Further attempts after a failure that may pass, as long as none of them gets on. Default 6: some 10 seconds. */
  readonly retries?: number | undefined;
  /** Stops everything; the generator then throws its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears of every change; always the same object with other numbers. */
  readonly onProgress?: ((progress: EmbedProgress) => void) | undefined;
}

/** Paths and URLs, or models in memory. */
export type ModelLocations = Iterable<string | ModelContent> | AsyncIterable<string | ModelContent>;

/** What became of one file. */
export interface FileOutcome {
  /** Place among the locations, from 0. */
  readonly index: number;
  /** Path or URL, fit for messages: of a URL without its query. Of a model in memory its name. */
  readonly location: string;
  readonly outcome: PortResult | ProbestreamError;
}

/** Streams at once where nothing else is said. */
export const defaultConcurrency = 4;

/** 384: three batches, of which one streams, one is planned and one is opened; processes often have 1,024 files. */
const maxOpenModels = 384;

/** What a model of many shards counts for: as many files as it may have open. */
const indexWeight = 16;

/** Models opened at once. Headers of remote ones take a round trip or more each. */
const openingAtOnce = 16;

/** 128: enough that the round trips of plan and answer, one each per batch, weigh little at 35 KB a model. */
const batchModels = 128;

/** A batch that does not fill up is planned after so long, in milliseconds: slow servers must not hold up fast disks. */
const batchWaitMs = 250;

/** Models that want less share a stream, others have one to themselves. */
const smallModelBytes = 1024 * 1024;

/**
 * Embeds models, many at a time: opens them, asks for plans in batches, and streams what the plans want. The next
 * batches are opened and planned while one is streamed, so that round trips cost little. One model's failure stops
 * no other.
 *
 * Outcomes come as streams end, not in the order of the locations. Taking them slowly slows the rest down.
 *
 * Memory: two chunks per stream; headers of at most 384 open models, and as many outcomes.
 *
 * @throws the signal's reason, what `locations` throws, UnauthenticatedError if a server does not take the token,
 * UnavailableError once the port has failed for one batch as often as it may, without an answer to any other, and AbortedError
 * `STREAM_IDLE` once the port waited in vain for a server that never answered: models without an outcome were not tried to
 * the end.
 */
export async function* embedFiles(
  locations: ModelLocations,
  port: EmbedPort,
  options: EmbedFilesOptions = {},
): AsyncGenerator<FileOutcome, void, undefined> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(options.signal?.reason);
  if (options.signal?.aborted === true) stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  const outcomes = createQueue<{ readonly file: FileOutcome; readonly release: () => void }>();
  const running = runAll(locations, port, { ...options, controller }, (file, release) => {
    outcomes.push({ file, release });
  }).then(outcomes.end, outcomes.fail);
  try {
    for await (const { file, release } of outcomes) {
      release();
      yield file;
    }
  } finally {
    controller.abort();
    options.signal?.removeEventListener("abort", stop);
    await running;
  }
}

async function runAll(
  locations: ModelLocations,
  port: EmbedPort,
  options: EmbedFilesOptions & { readonly controller: AbortController },
  emit: (file: FileOutcome, release: () => void) => void,
): Promise<void> {
  const { controller, experts = [], texts, retries = 6, concurrency = defaultConcurrency } = options;
  const { signal } = controller;
  // One listener for each model that is opened and each stream.
  setMaxListeners(0, signal);
  const progress = createProgressCounter(options.onProgress);
  const context: UploadContext = { port, texts, retries, signal, answers: { count: 0 } };
  const permits = createPermits(maxOpenModels, signal);
  const openings = createPermits(openingAtOnce, signal);
  const open = new Set<ModelFile>();
  const groups = createQueue<readonly Upload[]>();
  const tasks = createTaskGroup();

  const finish = (file: FileOutcome, release: () => void): void => {
    progress.add({ modelsDone: 1, modelsFailed: file.outcome instanceof ProbestreamError ? 1 : 0 });
    emit(file, release);
  };

  const factsOf = async (
    model: ModelFile,
    location: string,
    place: number,
  ): Promise<IndexFacts | undefined | ProbestreamError> => {
    try {
      return await options.index?.(model, location, place);
    } catch (error) {
      signal.throwIfAborted();
      return toProbestreamError(error);
    }
  };

  const openOne = async (index: number, given: string | ModelContent, release: () => void): Promise<void> => {
    const done = await openings.acquire(1);
    const isContent = typeof given !== "string";
    const location = isContent ? given.name : given;
    try {
      const model = await openModel(given, { ...(isContent ? {} : options.modelOptions?.(location)), signal });
      open.add(model);
      const end = (outcome: FileOutcome["outcome"]): void => {
        open.delete(model);
        // What closing a file that was read may still complain about concerns nobody.
        const closed = model.close().catch(() => {});
        tasks.run(closed.then(() => finish({ index, location: model.location, outcome }, release)));
      };
      const facts = await factsOf(model, location, index);
      if (facts instanceof ProbestreamError) return end(facts);
      const upload = new Upload(model, experts, progress, end, facts);
      batches.add({ index, upload });
    } catch (error) {
      signal.throwIfAborted();
      const shown = isContent ? location : toDisplayLocation(location);
      finish({ index, location: shown, outcome: toProbestreamError(error) }, release);
    } finally {
      done();
    }
  };

  const planBatch = async (batch: readonly Opened[]): Promise<void> => {
    // Files open in any order; outcomes are easier to read in that of the locations.
    const uploads = [...batch].sort((a, b) => a.index - b.index).map(({ upload }) => upload);
    await planUploads(uploads, context);
    for (const group of toGroups(uploads)) groups.push(group);
  };
  const batches: Batcher<Opened> = createBatcher(batchModels, batchWaitMs, (batch) => tasks.run(planBatch(batch)));

  const produce = async (): Promise<void> => {
    let index = 0;
    for await (const location of takeUnlessAborted(locations, signal)) {
      signal.throwIfAborted();
      progress.add({ models: 1 });
      const isIndex = typeof location === "string" && /\.index\.json$/i.test(location);
      const release = await permits.acquire(isIndex ? indexWeight : 1);
      tasks.run(openOne(index++, location, release));
    }
  };

  const stream = async (): Promise<void> => {
    for await (const group of groups) await uploadModels(group, context);
  };

  const streams = Promise.all(Array.from({ length: concurrency }, stream));
  try {
    tasks.run(produce());
    await Promise.race([tasks.done(), streams]);
    batches.end();
    await tasks.done();
    groups.end();
    await streams;
    await tasks.done();
  } catch (error) {
    controller.abort(error);
    groups.end();
    await Promise.all([tasks.ended(), streams.catch(() => {})]);
    throw error;
  } finally {
    batches.end();
    await Promise.all([...open].map((model) => model.close().catch(() => {})));
  }
}

/** The values as they come. Those that are still to come when the signal is aborted are not waited for. */
async function* takeUnlessAborted<T>(
  values: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]();
  let isWaiting = false;
  try {
    for (;;) {
      isWaiting = true;
      const next = await unlessAborted(Promise.resolve(iterator.next()), signal);
      isWaiting = false;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    const ended = Promise.resolve(iterator.return?.()).catch(() => {});
    // What stands still would not end either.
    if (!isWaiting) await ended;
  }
}

interface Opened {
  readonly index: number;
  readonly upload: Upload;
}

/** Models that share a stream: all small ones of a batch; the others alone. */
function toGroups(batch: readonly Upload[]): readonly (readonly Upload[])[] {
  const planned = batch.flatMap((upload) =>
    upload.plan === undefined || upload.isSettled ? [] : [{ upload, bytes: wantedBytes(upload.plan) }],
  );
  const small = planned.filter(({ bytes }) => bytes < smallModelBytes).map(({ upload }) => upload);
  const large = planned.filter(({ bytes }) => bytes >= smallModelBytes).map(({ upload }) => [upload]);
  return small.length === 0 ? large : [small, ...large];
}
