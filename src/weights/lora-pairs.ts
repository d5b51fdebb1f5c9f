import type { TensorInfo } from "./layer.js";
import { type ForeignKind, parseForeignName } from "./lora/foreign-adapters.js";
import { toModuleKey, toModulePath } from "./lora/module-path.js";
import { type FactorName, parseFactorName } from "./lora-naming.js";

/** The factors of one LoRA layer X = s · B A, as a file has them. */
export interface LoraPair {
  /** Path of the module that they change, the same however the file names it. */
  readonly module: string;
  /** A, [rank, inWidth]. */
  readonly down: TensorInfo;
  /** B, [outWidth, rank]. */
  readonly up: TensorInfo;
  /** Where the file has one: s = alpha / rank. */
  readonly alpha?: TensorInfo;
  /** s, where the configuration beside or inside the file says it, and there is no alpha. */
  readonly scale?: number;
  readonly rank: number;
  /** Width of the module's input; of a convolution in · kh · kw. */
  readonly inWidth: number;
  readonly outWidth: number;
}

/** A layer of an adapter that cannot be read as a product of two factors. */
export interface ForeignLayer {
  /** Path of the module that it changes, the same however the file names it. */
  readonly module: string;
  readonly kind: ForeignKind;
  /** The tensor that tells so. */
  readonly tensor: string;
}

/** What {@link findLoraPairs} found. */
export interface LoraPairs {
  /** In the order in which the file has their factors A. */
  readonly pairs: readonly LoraPair[];
  /** Factors without a partner, or whose partner does not fit in rank. */
  readonly unpaired: readonly TensorInfo[];
  /** Layers of adapters of other kinds, each once. */
  readonly foreign: readonly ForeignLayer[];
}

/** Two factors that belong together by their names, whether they fit or not. */
export interface LoraFactors {
  readonly name: FactorName;
  readonly down: TensorInfo;
  readonly up: TensorInfo;
}

/** What a file has for one module. */
export interface LoraMatches {
  /** More than one where the file has the module under several names. */
  readonly factors: readonly LoraFactors[];
  readonly foreign: readonly ForeignLayer[];
}

/**
 * Finds the LoRA layers of a file by the names in use: `<module>.lora.down.weight` (the authors), `.lora_down.weight`
 * (kohya), `.lora_A.weight` (PEFT), `.lora_linear_layer.down.weight` and `.processor.to_q_lora.down.weight` (diffusers),
 * each with its `up`; and `<module>.alpha` or `<module>.lora.alpha`. Modules are named as `toModulePath` does.
 */
export function findLoraPairs(tensors: ReadonlyMap<string, TensorInfo>): LoraPairs {
  const { factors, single, foreign } = indexOf(tensors);
  const unpaired = [...single];
  const pairs = factors.flatMap((found) => {
    const pair = toPair(found, tensors);
    if (pair === undefined) unpaired.push(found.down, found.up);
    return pair === undefined ? [] : [pair];
  });
  return { pairs, unpaired, foreign: [...foreign.values()].flat() };
}

/** What a file has for a module, under whatever names: its own, and those of other formats that mean the same. */
export function findLoraLayer(tensors: ReadonlyMap<string, TensorInfo>, module: string): LoraMatches {
  const { byKey, foreign } = indexOf(tensors);
  const key = toModuleKey(module);
  return { factors: byKey.get(key) ?? [], foreign: foreign.get(key) ?? [] };
}

/** The factors of a file, in its order. */
export function listLoraFactors(tensors: ReadonlyMap<string, TensorInfo>): readonly LoraFactors[] {
  return indexOf(tensors).factors;
}

/** The tensor of a layer's alpha, if the file has one. */
export function findAlpha(
  tensors: ReadonlyMap<string, TensorInfo>,
  { alphas: { base, endings } }: Pick<FactorName, "alphas">,
): TensorInfo | undefined {
  return endings.map((ending) => tensors.get(base + ending)).find((tensor) => tensor !== undefined);
}

interface LoraIndex {
  readonly factors: readonly LoraFactors[];
  readonly byKey: ReadonlyMap<string, readonly LoraFactors[]>;
  readonly single: readonly TensorInfo[];
  readonly foreign: ReadonlyMap<string, readonly ForeignLayer[]>;
}

/** Every expert of a catalogue looks for its layer in the same tensors, of which a model may have 100,000. */
const indexes = new WeakMap<ReadonlyMap<string, TensorInfo>, LoraIndex>();

function indexOf(tensors: ReadonlyMap<string, TensorInfo>): LoraIndex {
  const known = indexes.get(tensors);
  if (known !== undefined) return known;
  const index = createIndex(tensors);
  indexes.set(tensors, index);
  return index;
}

function createIndex(tensors: ReadonlyMap<string, TensorInfo>): LoraIndex {
  const factors: LoraFactors[] = [];
  const byKey = new Map<string, LoraFactors[]>();
  const single: TensorInfo[] = [];
  const foreign = new Map<string, ForeignLayer[]>();
  for (const tensor of tensors.values()) {
    const name = parseFactorName(tensor.name);
    if (name === undefined) {
      addForeign(foreign, tensor.name, tensors);
      continue;
    }
    const partner = tensors.get(name.partner);
    if (partner === undefined) single.push(tensor);
    if (partner === undefined || name.factor === "up") continue;
    const found = { name, down: tensor, up: partner };
    factors.push(found);
    append(byKey, toModuleKey(name.path), found);
  }
  return { factors, byKey, single, foreign };
}

function addForeign(
  foreign: Map<string, ForeignLayer[]>,
  tensor: string,
  tensors: ReadonlyMap<string, TensorInfo>,
): void {
  const found = parseForeignName(tensor, (name) => tensors.has(name));
  if (found === undefined) return;
  const key = toModuleKey(found.path);
  if (foreign.get(key)?.some(({ kind }) => kind === found.kind)) return;
  append(foreign, key, { module: toModulePath(found.path), kind: found.kind, tensor });
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function toPair({ name, down, up }: LoraFactors, tensors: ReadonlyMap<string, TensorInfo>): LoraPair | undefined {
  const [rank, ...input] = down.shape;
  const [outWidth, upRank, ...kernel] = up.shape;
  if (rank === undefined || input.length === 0 || outWidth === undefined) return undefined;
  if (upRank !== rank || kernel.some((extent) => extent !== 1)) return undefined;
  const alpha = findAlpha(tensors, name);
  const scale = alpha === undefined ? up.loraScale : undefined;
  return {
    module: toModulePath(name.path),
    down,
    up,
    ...(alpha !== undefined && { alpha }),
    ...(scale !== undefined && { scale }),
    rank,
    inWidth: input.reduce((product, extent) => product * extent, 1),
    outWidth,
  };
}
