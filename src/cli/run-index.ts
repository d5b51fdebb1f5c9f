import { ProbestreamError } from "../errors/probestream-error.js";
import type { FullRecord } from "../retrieval/retrieval-port.js";
import { embedFiles, type FileOutcome } from "../search/embed-files.js";
import type { EmbedProgress } from "../search/embed-files-progress.js";
import { toDisplayLocation } from "../weights/to-display-location.js";
import type { CommandContext } from "./command-context.js";
import type { IndexOptions } from "./index-options.js";
import type { IndexTally } from "./index-report.js";
import type { IndexTarget } from "./index-targets.js";
import type { MetadataFile } from "./metadata-file.js";
import { type FactSources, toIndexFacts, toMetadataPatch, toUserFacts } from "./model-facts.js";
import type { OpenedCatalogue } from "./open-retrieval.js";
import { showProgress } from "./progress.js";
import { toModelOptions } from "./remote-options.js";
import { toErrorFields } from "./result-writer.js";
import { type Skipped, skipIndexed, withRecords } from "./skip-indexed.js";

/** What a run is to do, and what it has done so far. */
export interface IndexRun {
  readonly file: MetadataFile | undefined;
  readonly options: IndexOptions;
  readonly tally: IndexTally;
}

/** What options say of all models. */
export function toSources(options: IndexOptions, file: MetadataFile | undefined): FactSources {
  return {
    ...{ metadata: options.meta ?? {}, file, base: options.base },
    ...{ fill: options.fill === true, hashesFiles: options.hashFiles === true },
  };
}

/**
 * Indexes all models that are not there, and counts them.
 *
 * @throws what embedding throws: see `embedFiles`.
 */
export async function runIndex(
  targets: readonly IndexTarget[],
  opened: OpenedCatalogue,
  { file, options, tally }: IndexRun,
  { signal, terminal, environment }: CommandContext,
): Promise<void> {
  const { header: headers, token, concurrency, json: isJson = false } = options;
  const sources = toSources(options, file);
  const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
  const { port, experts } = await opened.embedder(options.expert ?? []);
  const view = options.quiet === true ? undefined : showProgress(terminal, targets.length);
  let latest: EmbedProgress = { models: 0, modelsDone: 0, modelsFailed: 0, bytesWanted: 0, bytesDone: 0, bytesSent: 0 };
  const show = (progress: EmbedProgress): void => {
    latest = progress;
    const left = tally.there + tally.skippedCopies.length;
    view?.update({ ...progress, models: progress.models + left, modelsDone: progress.modelsDone + left });
  };

  const onSkipped = async (target: IndexTarget, why: Skipped): Promise<void> => {
    const { id, location } = target;
    if ("copyOf" in why) tally.skippedCopies.push({ id, copyOf: why.copyOf });
    else {
      tally.there++;
      const patch = toMetadataPatch(toUserFacts(target, sources).metadata, why.record.metadata);
      if (patch !== undefined) {
        await opened.catalogue.updateModel(id, patch);
        tally.changed++;
      }
    }
    show(latest);
    const reason = "copyOf" in why ? { copyOf: why.copyOf } : {};
    if (isJson)
      await terminal.print(
        JSON.stringify({ file: toDisplayLocation(location), model: id, status: "skipped", ...reason }),
      );
  };

  // Weights that were there under a model's id, by space, until the model is indexed.
  const earlier = new Map<string, ReadonlyMap<string, string>>();
  const onThere = ({ id }: IndexTarget, records: readonly FullRecord[]): void => {
    earlier.set(id, new Map(records.map(({ spaceId, weightsHash }) => [spaceId, weightsHash])));
  };
  const wanted = options.again
    ? withRecords(targets, { catalogue: opened.catalogue, signal, onThere })
    : skipIndexed(targets, {
        ...{ catalogue: opened.catalogue, port, experts, modelOptions, signal, onSkipped, onThere },
        skipsCopies: options.skipCopies === true,
        baseOf: (target) => toUserFacts(target, sources).base,
        onCopy: ({ id }, copyOf) => tally.copies.push({ id, copyOf }),
      });
  const byLocation = new Map(targets.map((target) => [target.location, target]));
  const sent: IndexTarget[] = [];
  try {
    for await (const outcome of embedFiles(toLocations(wanted, sent), port, {
      ...{ experts, modelOptions, concurrency, signal, onProgress: show },
      index: async (model, location) => {
        const target = byLocation.get(location);
        return target === undefined ? undefined : toIndexFacts(target, model, sources, signal);
      },
    })) {
      await note(outcome, sent[outcome.index], { tally, earlier, print: isJson ? terminal.print : undefined });
    }
  } finally {
    view?.stop();
  }
}

async function* toLocations(
  targets: Iterable<IndexTarget> | AsyncIterable<IndexTarget>,
  sent: IndexTarget[],
): AsyncGenerator<string, void, undefined> {
  for await (const target of targets) {
    sent.push(target);
    yield target.location;
  }
}

/** Where outcomes are noted. */
interface Notes {
  readonly tally: IndexTally;
  /** Weights that were there, by id and space. */
  readonly earlier: Map<string, ReadonlyMap<string, string>>;
  readonly print: CommandContext["terminal"]["print"] | undefined;
}

async function note(
  { location, outcome }: FileOutcome,
  target: IndexTarget | undefined,
  { tally, earlier, print }: Notes,
): Promise<void> {
  const model = target?.id ?? location;
  if (outcome instanceof ProbestreamError) {
    tally.failures.push({ file: location, error: outcome });
    await print?.(JSON.stringify({ file: location, model, status: "failed", ...toErrorFields(outcome) }));
    return;
  }
  tally.indexed++;
  tally.bytes += outcome.bytesTotal;
  const spaces = outcome.embeddings.map(({ spaceId, expertName, tree }) => {
    return { spaceId, expert: expertName, ...(tree?.isAccepted === true && { tree: tree.tree }) };
  });
  const { weightsHash } = outcome;
  const hashes = earlier.get(model);
  earlier.delete(model);
  const isReplaced = spaces.some(({ spaceId }) => (hashes?.get(spaceId) ?? weightsHash) !== weightsHash);
  if (isReplaced) tally.replaced.push(model);
  const replaced = isReplaced && { replaced: true };
  await print?.(JSON.stringify({ file: location, model, status: "indexed", weightsHash, ...replaced, spaces }));
}
