import { toProbestreamError } from "../../errors/plain-error.js";
import { InvalidInputError, type ProbestreamError } from "../../errors/probestream-error.js";
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
 * Reads the models of one Model Tree once and recovers who was fine-tuned from whom. Models of another signature than the
 * first, LoRA files, and what cannot be read are left out, with the reason.
 *
 * Memory: 16 KiB per layer of each model. Time: the reading, and per two models and layer 3 to 20 ms.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` if no model is left, the signal's reason.
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
  const first = [...read].sort(([a], [b]) => a - b)[0]?.[1];
  for (const [index, { key }] of read) {
    if (key === first?.key) continue;
    const message = `"${locations[index]}" has other modules or shapes than the first model, so it is of another tree; run \`trees discover\` first and give the models of one.`;
    skipped.set(index, new InvalidInputError("SHAPE_MISMATCH", message, { file: locations[index] ?? "" }));
  }
  const kept = [...read.keys()].filter((index) => !skipped.has(index)).sort((a, b) => a - b);
  const models = kept.map((index) => read.get(index)?.layers ?? []);
  if (models.length === 0) {
    throw new InvalidInputError("SHAPE_MISMATCH", `none of ${locations.length} models could be read`, { models: 0 });
  }
  const { growing, sign } = toStatistic(models, direction);
  const chosen = models.map((all) =>
    spread(
      all.filter(({ rows, columns }) => Math.min(rows, columns) >= leastSide),
      layers,
    ),
  );
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

/** Some of a list, evenly spread over it. */
function spread<T>(all: readonly T[], most: number): T[] {
  const stride = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(all.length, most) }, (_, at) => all[Math.floor(at * stride)] as T);
}
