import { PreconditionError, ProbestreamError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import type { ScoreCalibration } from "../experts/score-calibration.js";
import { type SoundQuery, toSoundQuery } from "./assert-query.js";
import { mapSound, outcomeOf } from "./map-sound.js";
import { createPacer } from "./pacer.js";
import type { PreparedQuery, SpaceQuery } from "./prepared-query.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { RetrievalQuery, SkippedSpace, TruncatedExample, UnknownWords } from "./retrieval-port.js";
import { type KnownSpace, readSpaceDirectory } from "./space-directory.js";
import { fieldsOf, toSpaceFilter, withTrees } from "./space-filter.js";
import {
  examplesOf,
  expertMissing,
  type ImagesBySpace,
  textsOf,
  toMostTelling,
  toSpaceVector,
  toTruncated,
  toUnknownWords,
} from "./space-vector.js";
import { readStoredModels, type StoredModels, toCommonSpaces } from "./stored-models.js";

/** A query with the spaces that it may be searched in. */
interface Placed {
  readonly query: SoundQuery;
  readonly spaces: readonly KnownSpace[];
}

/** What the queries of a batch share. */
interface Shared {
  readonly stored: StoredModels;
  readonly images: ImagesBySpace;
  readonly calibrations: ReadonlyMap<string, ScoreCalibration | ProbestreamError | undefined>;
  /** Of spaces that share a query with a filter. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Makes queries ready to be searched: finds out which spaces each goes to, reads the models it names, encodes the texts of all
 * together, and brings what it is made of into one vector per space.
 *
 * @returns per query; errors of one query stand in its place.
 */
export async function prepareQueries(
  queries: readonly RetrievalQuery[],
  context: RetrievalContext,
  signal: AbortSignal | undefined,
): Promise<(PreparedQuery | ProbestreamError)[]> {
  const { store, catalogue, texts } = context;
  const directory = await readSpaceDirectory(store, catalogue);
  const asked = await mapSound(queries, (one): Placed => {
    const query = toSoundQuery(one);
    return { query, spaces: directory.serving(query.experts) };
  });
  const stored = await readStoredModels(store, toWantedModels(asked));
  const placed = await mapSound(asked, ({ query, spaces }): Placed => {
    return { query, spaces: toCommonSpaces(examplesOf(query), spaces, stored) };
  });
  const shared: Shared = {
    stored,
    images: await texts.images(toWantedTexts(placed, context), signal),
    calibrations: await readCalibrations(placed, context),
    fields: await readFields(placed, context),
  };
  const pace = createPacer(signal);
  return mapSound(placed, async (one) => {
    await pace();
    return toPrepared(one, shared, context);
  });
}

function toPrepared({ query, spaces }: Placed, shared: Shared, context: RetrievalContext): PreparedQuery {
  const { k, minScore, minCosine, maxPerBase, exact = false } = query;
  const filled = spaces.filter(({ info }) => !info.isEmpty);
  const found: SpaceQuery[] = [];
  const skipped: SkippedSpace[] = [];
  const truncated: TruncatedExample[] = [];
  const unknownWords: UnknownWords[] = [];
  // A space without a model has nothing to say, and must not keep others from being merged.
  const searched = filled.length > 0 ? filled : spaces;
  const elsewhere = new Set(searched.flatMap(({ info }) => [...(shared.fields.get(info.spaceId) ?? [])]));
  for (const space of searched) {
    const { spaceId, expertName } = space.info;
    try {
      found.push(toSpaceQuery(query, space, shared, elsewhere, context));
      truncated.push(...toTruncated(query, space, shared.images));
      unknownWords.push(...toUnknownWords(query, space, shared.images));
    } catch (error) {
      if (!(error instanceof ProbestreamError) || error.kind === "internal") throw error;
      const isOfSpace = error === shared.images.get(spaceId) || error === shared.calibrations.get(spaceId);
      // What is wrong with the query itself is so in every space.
      if (!isOfSpace && (error.kind === "invalid-input" || error.kind === "limit-exceeded")) throw error;
      skipped.push({ spaceId, expertName, error });
    }
  }
  const nothing = found.length === 0 ? toMostTelling(skipped) : undefined;
  if (nothing !== undefined) throw nothing;
  assertCalibrated(found, minScore);
  const excluded = examplesOf(query).flatMap((example) => ("modelId" in example ? [example.modelId] : []));
  const rest = { minScore, minCosine, maxPerBase, exact, skipped, truncated, unknownWords };
  return { k, excluded: new Set(excluded), spaces: found, ...rest };
}

function toSpaceQuery(
  query: SoundQuery,
  space: KnownSpace,
  { stored, images, calibrations, fields }: Shared,
  elsewhere: ReadonlySet<string>,
  { texts }: RetrievalContext,
): SpaceQuery {
  const { spaceId, expertName } = space.info;
  const isOfTexts = textsOf(query).length > 0;
  if (isOfTexts) {
    if (space.expert === undefined) throw expertMissing(space);
    const whyNot = texts.whyNot(space.expert);
    if (whyNot !== undefined) throw whyNot;
  }
  const vector = toSpaceVector(query, space, stored, images);
  const calibration = calibrations.get(spaceId);
  if (calibration instanceof ProbestreamError) throw calibration;
  const kind = examplesOf(query).every((example) => "text" in example) ? "text" : "example";
  const filter = withTrees(query.filter, query.trees);
  const known = fields.get(spaceId);
  return {
    spaceId,
    expertName,
    vector,
    filter: filter === undefined || known === undefined ? filter : toSpaceFilter(filter, known, elsewhere),
    scorer: calibration?.toScorer(vector, kind),
  };
}

/** Scores of several spaces are merged only where all have one, and a least score needs one. */
function assertCalibrated(spaces: readonly SpaceQuery[], minScore: number | undefined): void {
  if (spaces.length === 1 && minScore === undefined) return;
  const plain = spaces.find(({ scorer }) => scorer === undefined);
  if (plain === undefined) return;
  const { spaceId, expertName } = plain;
  const why = spaces.length > 1 ? `${spaces.length} spaces are to be merged` : "a least score is asked for";
  throw new PreconditionError(
    "NOT_CALIBRATED",
    `${why}, and the expert "${expertName}" (${spaceId.slice(0, 12)}) has no calibrated scores; calibrate it, or ask for one expert alone without a least score`,
    { expert: expertName, spaceId },
  );
}

function toWantedModels(asked: readonly (Placed | ProbestreamError)[]): Map<string, Set<string>> {
  const wanted = new Map<string, Set<string>>();
  for (const { query, spaces } of soundOf(asked)) {
    for (const example of examplesOf(query)) {
      if (!("modelId" in example)) continue;
      for (const { info } of spaces) addTo(wanted, info.spaceId, example.modelId);
    }
  }
  return wanted;
}

function toWantedTexts(
  placed: readonly (Placed | ProbestreamError)[],
  { texts }: RetrievalContext,
): Map<Expert, Set<string>> {
  const wanted = new Map<Expert, Set<string>>();
  for (const { query, spaces } of soundOf(placed)) {
    for (const text of textsOf(query)) {
      for (const { expert } of spaces) {
        if (expert !== undefined && texts.whyNot(expert) === undefined) addTo(wanted, expert, text);
      }
    }
  }
  return wanted;
}

async function readCalibrations(
  placed: readonly (Placed | ProbestreamError)[],
  { calibrations }: RetrievalContext,
): Promise<Shared["calibrations"]> {
  const experts = new Set(soundOf(placed).flatMap(({ spaces }) => spaces.flatMap(({ expert }) => expert ?? [])));
  const read = [...experts].map(async (expert) => {
    return [expert.spaceId, await outcomeOf(() => calibrations.get(expert))] as const;
  });
  return new Map(await Promise.all(read));
}

/** Of the fields that filters name those there are, for spaces that a filter goes to together with others. */
async function readFields(
  placed: readonly (Placed | ProbestreamError)[],
  { store }: RetrievalContext,
): Promise<Shared["fields"]> {
  const wanted = new Map<string, Set<string>>();
  for (const { query, spaces } of soundOf(placed)) {
    if (query.filter === undefined || spaces.length < 2) continue;
    for (const field of fieldsOf(query.filter)) for (const { info } of spaces) addTo(wanted, info.spaceId, field);
  }
  const found = [...wanted].map(async ([id, fields]) => [id, await store.hasFields(id, [...fields])] as const);
  return new Map(await Promise.all(found));
}

function soundOf(items: readonly (Placed | ProbestreamError)[]): readonly Placed[] {
  return items.filter((item): item is Placed => !(item instanceof ProbestreamError));
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}
