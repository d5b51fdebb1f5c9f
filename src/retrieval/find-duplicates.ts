import { ProbestreamError } from "../errors/probestream-error.js";
import { assertId } from "../vectors/assert-records.js";
import { compareText } from "../vectors/compare-text.js";
import type { VectorRecord } from "../vectors/vector-record.js";
import { assertCount } from "./assert-count.js";
import { assertBetween, assertWhole } from "./assert-query.js";
import { maxHits } from "./limits.js";
import { mapSound } from "./map-sound.js";
import type { PreparedQuery } from "./prepared-query.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { Duplicate } from "./retrieval-port.js";
import { searchQueries } from "./search-queries.js";
import { type KnownSpace, readSpaceDirectory } from "./space-directory.js";
import { modelNotFound, readStoredModels, visitStoredModels } from "./stored-models.js";

/** How duplicates are found. */
export interface DuplicatesOptions {
  readonly minCosine?: number | undefined;
  readonly k?: number | undefined;
  readonly experts?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Cosine from which on models count as nearly the same, where nothing else is said. */
const defaultMinCosine = 0.999;

/** Copies per model where nothing else is said. */
const defaultCopies = 100;

/** Bytes of a model with its record while a search is answered, without long metadata. */
const bytesPerModel = 16 * 1024;

/** Bytes of a copy: what the store gives, its hash, and the message. */
const bytesPerCopy = 600;

/** A model in one of its spaces. */
interface Place {
  readonly space: KnownSpace;
  readonly record: VectorRecord;
}

/** Finds models that are nearly the same as others: the use case behind `RetrievalPort.findDuplicates`. */
export async function findDuplicates(
  modelIds: readonly string[],
  context: RetrievalContext,
  options: DuplicatesOptions,
): Promise<readonly (readonly Duplicate[] | ProbestreamError)[]> {
  const { minCosine = defaultMinCosine, k = defaultCopies, experts = [], signal } = options;
  const { store, catalogue, limits, gate } = context;
  assertCount(modelIds.length, limits.maxQueries, "model ids");
  assertBetween(minCosine, -1, 1, "min_cosine");
  assertWhole(k, 1, maxHits, "k");
  const bytes = modelIds.length * (bytesPerModel + k * bytesPerCopy);
  return gate.run(bytes, `a search for duplicates of ${modelIds.length} models`, signal, async () => {
    const spaces = (await readSpaceDirectory(store, catalogue)).serving(experts);
    const sound = await mapSound(modelIds, (id) => {
      assertId(id, "a model id");
      return id;
    });
    const ids = new Set(sound.filter((id) => typeof id === "string"));
    const stored = await readStoredModels(store, new Map(spaces.map(({ info }) => [info.spaceId, ids])));
    const placed = await mapSound(sound, (id) => {
      const places = spaces.flatMap((space): Place[] => {
        const record = stored.get(space.info.spaceId)?.get(id);
        return record === undefined ? [] : [{ space, record }];
      });
      if (places.length === 0) throw modelNotFound(id, spaces);
      return places;
    });
    // Each space by itself: cosines of different spaces do not compare, and a copy in one is a copy.
    const queries = placed.map((places) =>
      places instanceof ProbestreamError ? [] : places.map((place) => toQuery(place, k, minCosine)),
    );
    const found = await searchQueries(context, queries.flat(), signal);
    const copies = new Map<string, Set<string>>();
    for (const hits of found) {
      if (hits instanceof ProbestreamError) continue;
      for (const { spaceId, modelId } of hits) copies.set(spaceId, (copies.get(spaceId) ?? new Set()).add(modelId));
    }
    const hashes = new Map<string, string>();
    await visitStoredModels(
      store,
      copies,
      (spaceId, { id, weightsHash }) => hashes.set(JSON.stringify([spaceId, id]), weightsHash),
      signal,
    );
    let next = 0;
    return placed.map((places) => {
      if (places instanceof ProbestreamError) return places;
      const own = found.slice(next, next + places.length);
      next += places.length;
      const duplicates: Duplicate[] = [];
      for (const [at, { record }] of places.entries()) {
        const hits = own[at] ?? [];
        if (hits instanceof ProbestreamError) return hits;
        for (const { modelId, spaceId, cosine } of hits) {
          const hash = hashes.get(JSON.stringify([spaceId, modelId]));
          if (hash === undefined) continue;
          const hasSameWeights = record.weightsHash !== "" && hash === record.weightsHash;
          duplicates.push({ modelId, spaceId, cosine, hasSameWeights });
        }
      }
      return duplicates.sort(compareDuplicates).slice(0, k);
    });
  });
}

function toQuery({ space, record }: Place, k: number, minCosine: number): PreparedQuery {
  const { spaceId, expertName } = space.info;
  return {
    k,
    minCosine,
    minScore: undefined,
    maxPerBase: 0,
    exact: true,
    excluded: new Set([record.id]),
    spaces: [{ spaceId, expertName, vector: record.vector, filter: undefined, scorer: undefined }],
    skipped: [],
    truncated: [],
    unknownWords: [],
  };
}

function compareDuplicates(a: Duplicate, b: Duplicate): number {
  return b.cosine - a.cosine || compareText(a.modelId, b.modelId) || compareText(a.spaceId, b.spaceId);
}
