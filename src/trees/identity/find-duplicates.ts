import { createHash } from "node:crypto";
import { toProbestreamError } from "../../errors/plain-error.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { openModel } from "../../weights/model-file.js";
import {
  type ReadModelsOptions,
  readModels,
  type SignatureGroup,
  type SkippedModel,
} from "../discovery/read-models.js";
import { choosePairs } from "./choose-pairs.js";
import { compareFactors } from "./compare-factors.js";
import { compareWeights, type Likeness } from "./compare-weights.js";
import { type DuplicateGroup, type DuplicateLink, groupLinks } from "./group-links.js";
import { hashModel } from "./hash-model.js";
import { type ModelMarks, observeMarks } from "./model-marks.js";

/** What {@link findDuplicates} found. */
export interface Duplicates {
  /** The largest first. */
  readonly groups: readonly DuplicateGroup[];
  /** Models that were read. */
  readonly models: number;
  readonly skipped: readonly SkippedModel[];
}

/** Options of {@link findDuplicates}. */
export interface FindDuplicatesOptions extends Omit<ReadModelsOptions, "observe" | "layer"> {
  /** Models whose distances are held at once. Default 12,000: 288 MB. */
  readonly mostAtOnce?: number | undefined;
  /** Hears how many models, then pairs of models, are compared in full. */
  readonly onStage?: ((stage: "hashing" | "comparing", count: number) => void) | undefined;
}

/**
 * Finds the models of a pile that are the same: the same file; the same weights in another file; rounded to other types; a
 * LoRA that was factored anew or named otherwise; a quantised or pruned copy. Fine-tunes of one base are never the same,
 * however light: it is not distance that decides, but whether what was done to the file explains every number.
 *
 * Each model's sketch is made first (one layer is read); those that may be the same are read in full: hashed where sketches
 * are equal, otherwise compared pair by pair, no further than they differ.
 *
 * Memory: as `readModels` and `choosePairs`.
 *
 * @throws the signal's reason; UnavailableError `BACKEND_UNAVAILABLE` without onnxruntime-node. Models that cannot be
 * read are in `skipped`.
 */
export async function findDuplicates(
  locations: readonly string[],
  options: FindDuplicatesOptions = {},
): Promise<Duplicates> {
  const marks = new Map<string, ModelMarks>();
  const { groups, skipped } = await readModels(locations, {
    ...options,
    observe: (location, model) => observeMarks(model, (seen) => marks.set(location, seen)),
  });
  const search: Search = { options, marks, skipped: [...skipped], links: [] };
  const equals = groups.map(toEquals);
  const hashed = equals.flat().filter((models) => models.length > 1);
  options.onStage?.(
    "hashing",
    hashed.reduce((sum, models) => sum + models.length, 0),
  );
  const kept: string[][] = [];
  for (const own of equals) kept.push((await Promise.all(own.map((models) => linkEqual(models, search)))).flat());
  const pairs: [string, string][] = [];
  for (const [at, group] of groups.entries()) pairs.push(...(await toCandidates(group, kept[at] ?? [], search)));
  options.onStage?.("comparing", pairs.length);
  await linkSimilar(pairs, search);
  const failed = new Set(search.skipped.map(({ location }) => location));
  const order = new Map(locations.map((location, at) => [location, at]));
  return {
    groups: groupLinks(search.links, (location) => order.get(location) ?? 0),
    models: locations.length - failed.size,
    skipped: search.skipped,
  };
}

interface Search {
  readonly options: FindDuplicatesOptions;
  readonly marks: ReadonlyMap<string, ModelMarks>;
  readonly skipped: SkippedModel[];
  readonly links: DuplicateLink[];
}

/** Models hashed at once within a set of equal sketches, and pairs compared at once. */
const atOnce = 4;

/** Models of a signature by their sketches: each list has the same one. */
function toEquals({ locations, sketches: { width, values } }: SignatureGroup): string[][] {
  const equals = new Map<string, string[]>();
  for (const [at, location] of locations.entries()) {
    const sketch = values.subarray(at * width, (at + 1) * width);
    const key = createHash("sha256")
      .update(new Uint8Array(sketch.buffer, sketch.byteOffset, sketch.byteLength))
      .digest("hex");
    const own = equals.get(key);
    if (own === undefined) equals.set(key, [location]);
    else own.push(location);
  }
  return [...equals.values()];
}

/** Links models of the same weights. @returns one model for each weights. */
async function linkEqual(models: readonly string[], { options, skipped, links }: Search): Promise<string[]> {
  if (models.length === 1) return [...models];
  const byWeights = new Map<string, { readonly location: string; readonly file: string }>();
  const firstOf = new Map<string, string>();
  const hashes = await mapConcurrently(models, atOnce, async (location) => {
    try {
      return await hashModel(location, { ...options.modelOptions?.(location), signal: options.signal });
    } catch (error) {
      options.signal?.throwIfAborted();
      skipped.push({ location, error: toProbestreamError(error) });
      return undefined;
    }
  });
  for (const [at, found] of hashes.entries()) {
    const location = models[at];
    if (found === undefined || location === undefined) continue;
    const { file, weights } = found;
    const [first, same] = [byWeights.get(weights), firstOf.get(`${file} ${weights}`)];
    if (same !== undefined) links.push({ kind: "file", first: same, second: location, distance: 0 });
    else if (first !== undefined) links.push({ kind: "weights", first: first.location, second: location, distance: 0 });
    if (first === undefined) byWeights.set(weights, { location, file });
    if (same === undefined) firstOf.set(`${file} ${weights}`, location);
  }
  return [...byWeights.values()].map(({ location }) => location);
}

async function toCandidates(
  { kind, locations, sketches }: SignatureGroup,
  kept: readonly string[],
  { options, marks }: Search,
): Promise<[string, string][]> {
  const { width, values } = sketches;
  const places = new Map(locations.map((location, at) => [location, at]));
  const own = new Float32Array(kept.length * width);
  for (const [at, location] of kept.entries()) {
    const place = places.get(location) ?? 0;
    own.set(values.subarray(place * width, (place + 1) * width), at * width);
  }
  const table = { count: kept.length, width, values: own };
  const { mostAtOnce, signal } = options;
  const seen = kept.map((location) => marks.get(location));
  const pairs = await choosePairs(table, kind, seen, { mostAtOnce, signal });
  return pairs.map(({ first, second }) => [kept[first] ?? "", kept[second] ?? ""]);
}

async function linkSimilar(pairs: readonly [string, string][], { options, skipped, links }: Search): Promise<void> {
  const failed = new Set<string>();
  const read = async (location: string) => {
    try {
      return await openModel(location, { ...options.modelOptions?.(location), signal: options.signal });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!failed.has(location)) skipped.push({ location, error: toProbestreamError(error) });
      failed.add(location);
      return undefined;
    }
  };
  await mapConcurrently(pairs, atOnce, async ([first, second]) => {
    options.signal?.throwIfAborted();
    const [a, b] = [await read(first), await read(second)];
    try {
      if (a === undefined || b === undefined) return;
      const likeness = await compare(a, b, options.signal);
      if (likeness !== undefined) links.push({ ...likeness, first, second });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!failed.has(second)) skipped.push({ location: second, error: toProbestreamError(error) });
      failed.add(second);
    } finally {
      await a?.close();
      await b?.close();
    }
  });
}

type Opened = Awaited<ReturnType<typeof openModel>>;

async function compare(a: Opened, b: Opened, signal: AbortSignal | undefined): Promise<Likeness | undefined> {
  return (await compareWeights([a, b], { signal })) ?? (await compareFactors([a, b], signal));
}
