import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { CorruptDataError, InvalidInputError } from "../errors/probestream-error.js";
import { Random } from "../linalg/random.js";
import { toLabelAccuracy, toTopAccuracy } from "./accuracy.js";
import type { LayerSet, Split } from "./datasets/layer-set.js";
import { initialise } from "./initialise.js";
import { type RunState, readRunState, writeRunState } from "./run-state.js";
import { openScorer, type Scorer } from "./score-models.js";
import { foldFactor, scaleLayers, toStandardFactor } from "./standardise.js";
import type { TrainSettings } from "./train-settings.js";
import type { TrainShape } from "./train-shape.js";
import { openTrainer, type Trainer } from "./train-step.js";

/** A model of the dataset, by its place in the set of layers. */
export interface TrainModel {
  readonly split: Split;
  /** Indices of its labels: among the seen ones, or among those held out if its split is. Zero-shot takes one. */
  readonly labels: readonly number[];
}

/** What an expert is trained on. */
export interface TrainData {
  readonly layers: LayerSet;
  /** One per layer. */
  readonly models: readonly TrainModel[];
  /** For zero-shot: vectors of the seen labels' texts, labels × d_text. */
  readonly texts?: Float32Array;
  /** For zero-shot: vectors of the texts of labels that are held out. */
  readonly heldOutTexts?: Float32Array;
}

/** How training stands after an epoch. */
export interface EpochReport {
  /** From 0. */
  readonly epoch: number;
  /** Mean over the epoch's models, each batch before its update. */
  readonly loss: number;
  /** Per split that has models and was evaluated; none after an epoch without evaluation. */
  readonly accuracies: Partial<Readonly<Record<Split, number>>>;
}

/** Parameters as they stood after an epoch. */
export interface Snapshot {
  readonly epoch: number;
  /** Of the split that it is the best on. */
  readonly accuracy: number;
  /** By name; shapes as `toParameterShapes` has them. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

/** What training gives. */
export interface FittedExpert {
  /** The best on each of these splits that has models; of equally good ones the last. */
  readonly best: ReadonlyMap<"val" | "val_holdout", Snapshot>;
  readonly reports: readonly EpochReport[];
  readonly times: { readonly gradientsMs: number; readonly adamMs: number };
  readonly steps: number;
}

/** Options of {@link fitExpert}. */
export interface FitOptions {
  readonly settings: TrainSettings;
  /** Threads of each product at most; small ones take one. Default 2; another number may change the last digits. */
  readonly threads?: number;
  /** Splits whose accuracy is reported besides val and val_holdout, which choose the best. */
  readonly alsoEvaluate?: readonly Split[];
  /**
   * A file to keep the run's state in. A run that finds one goes on after its last epoch and ends with the same
   * parameters, bit for bit, as one that was never stopped.
   */
  readonly statePath?: string;
  /** Least time between two writes of the state, in milliseconds. Default 10,000: it takes 20 bytes per parameter. */
  readonly saveEveryMs?: number;
  readonly signal?: AbortSignal;
  /** Hears of each epoch; after going on, of those before as well. */
  readonly onEpoch?: (report: EpochReport) => void;
}

const defaultSaveEveryMs = 10_000;

const choosing = ["val", "val_holdout"] as const;

type Best = Map<(typeof choosing)[number], Snapshot>;

/**
 * Trains one expert: the authors' loop. Batches in an order drawn anew each epoch, Adam, and the best parameters on the
 * validation splits. The same data, settings and number of threads give the same parameters, bit for bit.
 *
 * Memory: 16 bytes per parameter for training and 4 for each of the two best; a batch of layers; about 12·n·r_U·r_V
 * bytes for a batch's responses.
 *
 * @throws InvalidInputError `FIELD_INVALID` if no model is for training, or a label is out of range.
 * @see Horwitz et al., CVPR 2025, https://arxiv.org/abs/2410.13569
 */
export async function fitExpert(shape: TrainShape, given: TrainData, options: FitOptions): Promise<FittedExpert> {
  const { settings, threads, signal, statePath, saveEveryMs = defaultSaveEveryMs } = options;
  const bySplit = groupBySplit(shape, given);
  const train = bySplit.get("train") ?? [];
  const factor = settings.standardise ? await toStandardFactor(shape, given.layers, train) : 1;
  const data = factor === 1 ? given : { ...given, layers: scaleLayers(given.layers, factor) };
  let random = new Random(settings.seed);
  const trainer = await openTrainer(shape, { texts: data.texts, threads });
  initialise(trainer.shapes, trainer.memory.parameters, random);
  const { parameters } = trainer.memory;
  const seenScorer = await openScorer(shape, parameters, data.texts, threads);
  const heldOutShape = { ...shape, labels: toHeldOutCount(shape, data) };
  // Without labels that are held out there is nothing to rank.
  const heldOutScorer =
    heldOutShape.labels > 0 ? await openScorer(heldOutShape, parameters, data.heldOutTexts, threads) : undefined;
  const evaluated = [...new Set([...choosing, ...(options.alsoEvaluate ?? [])])].filter((split) => bySplit.has(split));
  const best: Best = new Map();
  const reports: EpochReport[] = [];
  const fingerprint = toFingerprint(shape, data, settings);
  try {
    const saved = statePath === undefined ? undefined : await readRunState(statePath, fingerprint);
    if (saved !== undefined) random = restore(saved, trainer, best, reports);
    for (const report of reports) options.onEpoch?.(report);
    let lastSaved = performance.now();
    for (let epoch = reports.length; epoch < settings.epochs; epoch++) {
      if (isExhausted(reports, settings.patience)) break;
      const loss = await trainEpoch(shape, data, train, trainer, random, settings, signal);
      const accuracies: Partial<Record<Split, number>> = {};
      if (epoch % settings.evaluateEvery === 0 || epoch === settings.epochs - 1) {
        for (const split of evaluated) {
          const scorer = (isHeldOut(split) ? heldOutScorer : undefined) ?? seenScorer;
          accuracies[split] = await evaluate(shape, data, bySplit.get(split) ?? [], scorer, signal);
        }
        keepBest(best, epoch, accuracies, parameters);
      }
      const report = { epoch, loss, accuracies };
      reports.push(report);
      options.onEpoch?.(report);
      if (statePath === undefined || performance.now() - lastSaved < saveEveryMs) continue;
      await writeRunState(statePath, { fingerprint, ...toState(trainer, best, reports, random) });
      lastSaved = performance.now();
    }
    for (const { parameters: kept } of best.values()) foldFactor(kept, factor);
    return { best, reports, times: { ...trainer.times }, steps: trainer.steps };
  } finally {
    await Promise.all([trainer.dispose(), seenScorer.dispose(), heldOutScorer?.dispose()]);
  }
}

async function trainEpoch(
  shape: TrainShape,
  { layers, models }: TrainData,
  train: readonly number[],
  trainer: Trainer,
  random: Random,
  settings: TrainSettings,
  signal: AbortSignal | undefined,
): Promise<number> {
  const order = random.order(train.length);
  const stepsPerEpoch = Math.ceil(order.length / settings.batchSize);
  let sum = 0;
  for (let begin = 0; begin < order.length; begin += settings.batchSize) {
    // A run blocks this thread: whoever waits for it, a signal above all, gets a turn in between.
    await setImmediate();
    signal?.throwIfAborted();
    const picked = Array.from(order.subarray(begin, begin + settings.batchSize), (place) => train[place] as number);
    const targets = new Float32Array(picked.length * shape.labels);
    for (const [row, index] of picked.entries()) {
      for (const label of models[index]?.labels ?? []) targets[row * shape.labels + label] = 1;
    }
    const loss = await trainer.gradients({ size: picked.length, layers: await layers.read(picked), targets });
    trainer.move({
      ...settings,
      learningRate: toLearningRate(settings, trainer.steps, stepsPerEpoch * settings.epochs),
    });
    sum += loss * picked.length;
  }
  return sum / order.length;
}

/** The rate of a step, counted from 0. */
function toLearningRate({ learningRate, schedule }: TrainSettings, step: number, steps: number): number {
  return schedule === "constant" ? learningRate : (learningRate * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/** Whether the last `patience` evaluations brought nothing better on any split that chooses. */
function isExhausted(reports: readonly EpochReport[], patience: number): boolean {
  const evaluated = reports.filter(({ accuracies }) => accuracies.val !== undefined);
  if (patience === 0 || evaluated.length <= patience) return false;
  const most = (some: readonly EpochReport[], split: Split): number =>
    Math.max(...some.map(({ accuracies }) => accuracies[split] ?? 0));
  const [before, since] = [evaluated.slice(0, -patience), evaluated.slice(-patience)];
  return choosing.every((split) => most(since, split) <= most(before, split));
}

async function evaluate(
  { objective }: TrainShape,
  { layers, models }: TrainData,
  indices: readonly number[],
  scorer: Scorer,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { scores } = await scorer.score(layers, indices, signal);
  const truths = indices.map((index) => models[index]?.labels ?? []);
  return objective === "zeroshot" ? toTopAccuracy(scores, truths) : toLabelAccuracy(scores, truths);
}

function keepBest(
  best: Best,
  epoch: number,
  accuracies: EpochReport["accuracies"],
  parameters: ReadonlyMap<string, Float32Array>,
): void {
  for (const split of choosing) {
    const accuracy = accuracies[split];
    if (accuracy === undefined || accuracy < (best.get(split)?.accuracy ?? 0)) continue;
    const copies = new Map([...parameters].map(([name, values]) => [name, values.slice()]));
    best.set(split, { epoch, accuracy, parameters: copies });
  }
}

/** What of a state is no array of float32 numbers. */
interface Facts {
  readonly steps: number;
  readonly random: number;
  readonly reports: readonly EpochReport[];
  readonly best: readonly (Pick<Snapshot, "epoch" | "accuracy"> & { readonly split: (typeof choosing)[number] })[];
}

function toState(
  { memory, steps }: Trainer,
  best: Best,
  reports: readonly EpochReport[],
  random: Random,
): Pick<RunState, "facts" | "arrays"> {
  const arrays = new Map<string, Float32Array>();
  for (const [name, values] of memory.parameters) arrays.set(`now.${name}`, values);
  for (const [index, values] of memory.moments.entries()) arrays.set(`moment.${index}`, values);
  for (const [split, { parameters }] of best) {
    for (const [name, values] of parameters) arrays.set(`${split}.${name}`, values);
  }
  const kept = [...best].map(([split, { epoch, accuracy }]) => ({ split, epoch, accuracy }));
  return { facts: { steps, random: random.state, reports, best: kept } satisfies Facts, arrays };
}

/** Puts a state back and gives the random order as it stood. */
function restore({ facts, arrays }: RunState, trainer: Trainer, best: Best, reports: EpochReport[]): Random {
  const { steps, random, reports: done, best: kept } = facts as Facts;
  const take = (name: string): Float32Array => {
    const values = arrays.get(name);
    if (values === undefined) throw new CorruptDataError("CORRUPT", `the state of the run lacks ${name}`);
    return values;
  };
  for (const [name, values] of trainer.memory.parameters) values.set(take(`now.${name}`));
  for (const [index, values] of trainer.memory.moments.entries()) values.set(take(`moment.${index}`));
  for (const { split, ...snapshot } of kept) {
    const names = [...trainer.memory.parameters.keys()];
    best.set(split, { ...snapshot, parameters: new Map(names.map((name) => [name, take(`${split}.${name}`)])) });
  }
  trainer.steps = steps;
  reports.push(...done);
  return new Random(random);
}

/** What decides how a run goes: settings and data. */
function toFingerprint(shape: TrainShape, data: TrainData, settings: TrainSettings): string {
  const { layers, models, texts, heldOutTexts } = data;
  const hash = createHash("sha256").update(JSON.stringify([shape, settings, layers.identity, models]));
  for (const values of [texts, heldOutTexts]) {
    if (values !== undefined) hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest("hex");
}

/** Whether the labels of a split are those that no model of `train` has. */
export function isHeldOut(split: Split): boolean {
  return split === "val_holdout" || split === "test_holdout";
}

function toHeldOutCount({ objective, textWidth = 1 }: TrainShape, { heldOutTexts }: TrainData): number {
  return objective === "zeroshot" ? (heldOutTexts?.length ?? 0) / textWidth : 0;
}

/** Indices of the models of each split that has any. */
function groupBySplit(shape: TrainShape, data: TrainData): Map<Split, number[]> {
  const { layers, models } = data;
  if (models.length !== layers.count) {
    throw new InvalidInputError("FIELD_INVALID", `there are ${models.length} models and ${layers.count} layers`);
  }
  const heldOut = toHeldOutCount(shape, data);
  const groups = new Map<Split, number[]>();
  for (const [index, { split, labels }] of models.entries()) {
    const count = shape.objective === "zeroshot" && isHeldOut(split) ? heldOut : shape.labels;
    const wrong = labels.find((label) => !Number.isInteger(label) || label < 0 || label >= count);
    if (wrong !== undefined || (shape.objective === "zeroshot" && labels.length !== 1)) {
      throw new InvalidInputError(
        "FIELD_INVALID",
        `model ${index} of ${split} has the labels ${labels.join(", ") || "(none)"}; ${count} are known, and a zero-shot expert takes one per model`,
      );
    }
    const group = groups.get(split);
    if (group === undefined) groups.set(split, [index]);
    else group.push(index);
  }
  if (!groups.has("train")) throw new InvalidInputError("FIELD_INVALID", "no model is for training");
  return groups;
}
