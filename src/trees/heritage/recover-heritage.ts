import { toProbestreamError } from "../../errors/plain-error.js";
import { InvalidInputError, type ProbestreamError } from "../../errors/probestream-error.js";
import { takeEvenly } from "../../linalg/take-evenly.js";
import { findLoraPairs } from "../../weights/lora-pairs.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { type ModelOptions, openModel } from "../../weights/model-file.js";
import { toSignature } from "../signature.js";
import { compareModels } from "./compare-models.js";
import type { DistanceMeasure } from "./difference-norms.js";
import { type Heritage, inferHeritageBy } from "./infer-heritage.js";
import type { LayerStatistics } from "./layer-statistics.js";
import { readLayerStatistics } from "./read-layer-statistics.js";

/** What tells which of two models was there first: a statistic, and whether it grows along training. */
export type HeritageDirection = "kurtosis-grows" | "kurtosis-falls" | "squares-grow";

/** Options of {@link recoverHeritage}. */
export interface RecoverOptions {
  /** Default `bulk`. */
  readonly measure?: DistanceMeasure | undefined;
  /** Default `kurtosis-falls`, the paper's for fine-tunes. */
  readonly direction?: HeritageDirection | undefined;
  /** Layers that distances are measured on at most, spread over the model. Default 8. */
  readonly layers?: number | undefined;
  /** Options of remote files, by location. */
  readonly modelOptions?: ((location: string) => ModelOptions) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly models: number; readonly failed: number }) => void) | undefined;
}

/** Who was fine-tuned from whom among some files. */
export interface RecoveredHeritage extends Heritage {
  /** What `root`, `parent` and `child` count, in the order in which they were given. */
  readonly locations: readonly string[];
  /** Layers that distances were measured on. */
  readonly layers: readonly string[];
  readonly skipped: readonly { readonly location: string; readonly error: ProbestreamError }[];
}

const modelsAtOnce = 4;
const defaultLayers = 8;
/** A matrix with fewer rows or columns, a norm or a bias, says little of where a model has been. */
const leastSide = 8;

/**
 * Reads the models of one Model Tree once and recovers who was fine-tuned from whom. Models of another signature than most,
 * or whose weights have nothing in common with these, LoRA files, and what cannot be read are left out, with the reason.
 *
 * Memory: 16 KiB per layer of each model. Time: the reading, and per two models and layer 3 to 20 ms.
 *
 * @throws InvalidInputError with the first reason if no model is left, the signal's reason.
 */
export async function recoverHeritage(
  locations: readonly string[],
  options: RecoverOptions = {},
): Promise<RecoveredHeritage> {
  const {
    measure = "bulk",
    direction = "kurtosis-falls",
    layers = defaultLayers,
    modelOptions,
    signal,
    onProgress,
  } = options;
  const read = new Map<number, { readonly key: string; readonly layers: readonly LayerStatistics[] }>();
  const skipped = new Map<number, ProbestreamError>();
  await mapConcurrently([...locations.entries()], modelsAtOnce, async ([index, location]) => {
    signal?.throwIfAborted();
    try {
      read.set(index, await readOne(location, { ...modelOptions?.(location), signal }));
    } catch (error) {
      signal?.throwIfAborted();
      skipped.set(index, toProbestreamError(error));
    }
    onProgress?.({ models: read.size, failed: skipped.size });
  });
  const key = toCommonKey([...read.values()].map((one) => one.key));
  for (const [index, one] of read) {
    if (one.key !== key)
      skipped.set(index, unlike(locations[index] ?? "", "has other modules or shapes than most of the models"));
  }
  const left = (): number[] => [...read.keys()].filter((index) => !skipped.has(index)).sort((x, y) => x - y);
  const choose = (index: number): readonly LayerStatistics[] =>
    takeEvenly(
      (read.get(index)?.layers ?? []).filter(({ rows, columns }) => Math.min(rows, columns) >= leastSide),
      layers,
    );
  const related = toLargestFamily(left(), choose, signal);
  for (const index of left()) {
    if (!related.has(index))
      skipped.set(index, unlike(locations[index] ?? "", "has nothing in common with most of the models"));
  }
  const kept = left();
  if (kept.length === 0) {
    const message = `none of ${locations.length} models could be read`;
    const cause = [...skipped.values()][0];
    throw new InvalidInputError(
      cause?.reason ?? "SHAPE_MISMATCH",
      cause === undefined ? message : `${message}: ${cause.message}`,
      {},
      { cause },
    );
  }
  const models = kept.map((index) => read.get(index)?.layers ?? []);
  const { growing, sign } = toStatistic(models, direction);
  const chosen = kept.map(choose);
  const { distances, layers: compared } = compareModels(chosen, measure, signal);
  return {
    ...inferHeritageBy({ distances, growing: growing.map((value) => sign * value) }),
    locations: kept.map((index) => locations[index] ?? ""),
    layers: compared,
    skipped: [...skipped]
      .sort(([a], [b]) => a - b)
      .map(([index, error]) => ({ location: locations[index] ?? "", error })),
  };
}

function unlike(location: string, what: string): InvalidInputError {
  const message = `"${location}" ${what}, so it is of another tree; run \`trees discover\` first and give the models of one.`;
  return new InvalidInputError("SHAPE_MISMATCH", message, { file: location });
}

/** The signature that most models have; of equally common ones the first. */
function toCommonKey(keys: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].reduce<[string | undefined, number]>(
    (most, next) => (next[1] > most[1] ? next : most),
    [undefined, 0],
  )[0];
}

/** Relative squared distance from which on two models have nothing in common: unrelated weights have 1. */
const unrelated = 0.7;

/** The largest set of models that are linked by being related. Time: a pass over two samples for each two models. */
function toLargestFamily(
  indices: readonly number[],
  choose: (index: number) => readonly LayerStatistics[],
  signal?: AbortSignal,
): Set<number> {
  const samples = indices.map((index) => choose(index).map(({ sample }) => sample.values));
  const squares = samples.map((all) =>
    all.reduce((sum, values) => sum + values.reduce((own, value) => own + value * value, 0), 0),
  );
  const family = indices.map((_, place) => place);
  // Not by recursion: a chain of relatives may be longer than the call stack.
  const rootOf = (place: number): number => {
    let root = place;
    while (family[root] !== root) root = family[root] as number;
    family[place] = root;
    return root;
  };
  for (let i = 0; i < indices.length; i++) {
    signal?.throwIfAborted();
    for (let j = 0; j < i; j++) {
      if (rootOf(i) === rootOf(j)) continue;
      let distance = 0;
      for (const [layer, values] of (samples[i] ?? []).entries()) {
        const other = samples[j]?.[layer];
        for (let k = 0; k < values.length; k++) distance += ((values[k] as number) - (other?.[k] ?? 0)) ** 2;
      }
      if (distance <= unrelated * ((squares[i] ?? 0) + (squares[j] ?? 0))) family[rootOf(i)] = rootOf(j);
    }
  }
  const members = new Map<number, number[]>();
  for (const [place, index] of indices.entries())
    members.set(rootOf(place), [...(members.get(rootOf(place)) ?? []), index]);
  return new Set([...members.values()].sort((a, b) => b.length - a.length)[0]);
}

async function readOne(location: string, options: ModelOptions): Promise<{ key: string; layers: LayerStatistics[] }> {
  const model = await openModel(location, options);
  try {
    if (findLoraPairs(model.tensors).pairs.length > 0) {
      const message = `"${location}" is a LoRA file: it holds what was added to a base, and nothing of where that came from. Give full models.`;
      throw new InvalidInputError("FORMAT_REFUSED", message, { file: location });
    }
    const { key } = toSignature(model.tensors);
    return { key, layers: await readLayerStatistics(model, options.signal) };
  } finally {
    await model.close();
  }
}

/** The statistic over all layers, and the sign with which it grows along training. */
function toStatistic(
  models: readonly (readonly LayerStatistics[])[],
  direction: HeritageDirection,
): { growing: number[]; sign: 1 | -1 } {
  const sum = (layers: readonly LayerStatistics[], of: (layer: LayerStatistics) => number): number =>
    layers.map(of).reduce((total, value) => total + (Number.isNaN(value) ? 0 : value), 0);
  if (direction === "squares-grow")
    return { growing: models.map((all) => sum(all, ({ squareSum }) => squareSum)), sign: 1 };
  return {
    growing: models.map((all) => sum(all, ({ kurtosis }) => kurtosis)),
    sign: direction === "kurtosis-grows" ? 1 : -1,
  };
}
