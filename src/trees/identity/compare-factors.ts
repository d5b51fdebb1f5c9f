import type { TensorInfo } from "../../weights/layer.js";
import { findLoraPairs, type LoraPair } from "../../weights/lora-pairs.js";
import type { ModelFile } from "../../weights/model-file.js";
import { compareWeights, type Likeness } from "./compare-weights.js";
import { isNumberTensor, readNumbers, toNumberCount } from "./read-pairs.js";

/**
 * Distance up to which products of factors are the same, by the type of the coarsest factor: its rounding times the 10 to
 * 20 that a turned basis may amplify it by. Light fine-tunes at 0.3 % are told apart in float16 and finer types; bfloat16
 * itself moves a product by that much.
 */
const mostDistance: ReadonlyMap<string, number> = new Map([
  ["F64", 1e-4],
  ["F32", 1e-4],
  ["F16", 2.5e-3],
  ["BF16", 1e-2],
]);

/** Factors of one module, in float32. */
interface Factors {
  readonly rank: number;
  /** rank × in. */
  readonly down: Float32Array;
  /** out × rank. */
  readonly up: Float32Array;
  /** s of s · B·A. */
  readonly scale: number;
}

/**
 * Whether two LoRA files change the same modules by the same matrices s·B·A, however they are named and factored, whatever
 * their ranks, and whether alpha is a tensor, in the configuration or folded into the factors. The products are not
 * multiplied out: ‖X − Y‖² follows from inner products between the factors' rows and columns.
 *
 * Time: (rank + rank')² · (in + out) per module. Memory: the factors of one module.
 *
 * @returns undefined where they are not the same, or where a file has layers of other kinds. Tensors beside the factors
 * must be the same, under the same names.
 */
export async function compareFactors(
  [a, b]: readonly [ModelFile, ModelFile],
  signal?: AbortSignal,
): Promise<Likeness | undefined> {
  const [first, second] = [toModules(a), toModules(b)];
  if (first === undefined || second === undefined || first.pairs.size !== second.pairs.size) return undefined;
  if (first.others.join("\n") !== second.others.join("\n")) return undefined;
  if (first.others.length > 0) {
    const others = await compareWeights([a, b], { names: first.others, signal });
    if (others?.kind !== "dtype") return undefined;
  }
  const limit = toLimit([...first.pairs.values(), ...second.pairs.values()]);
  if (limit === undefined) return undefined;
  let [apart, norm] = [0, 0];
  for (const [module, pair] of first.pairs) {
    const other = second.pairs.get(module);
    if (other === undefined || other.inWidth !== pair.inWidth || other.outWidth !== pair.outWidth) return undefined;
    const x = await readFactors(a, pair, signal);
    const y = await readFactors(b, other, signal);
    if (x === undefined || y === undefined) return undefined;
    const [own, theirs, both] = [toProduct(x, x), toProduct(y, y), toProduct(x, y)];
    const gap = Math.max(0, own + theirs - 2 * both);
    // A small module may be another one altogether, and the sum not show it.
    if (gap > (moduleShare * limit) ** 2 * Math.max(own, theirs)) return undefined;
    apart += gap;
    norm += Math.max(own, theirs);
  }
  const distance = Math.sqrt(apart / norm);
  return distance <= limit ? { kind: "factors", distance } : undefined;
}

/** How much farther than all together one module may be. */
const moduleShare = 4;

/** The coarsest factor decides; undefined for a type that tells nothing. */
function toLimit(pairs: readonly LoraPair[]): number | undefined {
  const limits = pairs.flatMap(({ down, up }) => [down, up].map(({ dtype }) => mostDistance.get(dtype)));
  return limits.includes(undefined) ? undefined : Math.max(...limits.filter((limit) => limit !== undefined));
}

interface Modules {
  readonly pairs: ReadonlyMap<string, LoraPair>;
  /** Names of tensors that are no factors and no alphas, sorted. */
  readonly others: readonly string[];
}

function toModules({ tensors }: ModelFile): Modules | undefined {
  const { pairs, unpaired, foreign } = findLoraPairs(tensors);
  const modules = new Map(pairs.map((pair) => [pair.module, pair]));
  if (pairs.length === 0 || unpaired.length + foreign.length > 0 || modules.size !== pairs.length) return undefined;
  const used = new Set(pairs.flatMap(({ down, up, alpha }) => [down.name, up.name, alpha?.name]));
  return { pairs: modules, others: [...tensors.keys()].filter((name) => !used.has(name)).sort() };
}

async function readFactors(model: ModelFile, pair: LoraPair, signal?: AbortSignal): Promise<Factors | undefined> {
  const [down, up] = [await readWhole(model, pair.down, signal), await readWhole(model, pair.up, signal)];
  if (down === undefined || up === undefined) return undefined;
  const { rank, alpha, scale = 1 } = pair;
  if (alpha === undefined) return { rank, down, up, scale };
  const [value] = (await readWhole(model, alpha, signal)) ?? [];
  return value === undefined ? undefined : { rank, down, up, scale: value / rank };
}

async function readWhole(
  model: ModelFile,
  tensor: TensorInfo,
  signal?: AbortSignal,
): Promise<Float32Array | undefined> {
  return isNumberTensor(tensor) ? readNumbers(model, tensor, 0, toNumberCount(tensor), signal) : undefined;
}

/** ⟨s·B·A, t·D·C⟩ = s·t · Σ (BᵀD) ∘ (ACᵀ). */
function toProduct(x: Factors, y: Factors): number {
  const width = x.down.length / x.rank;
  const height = x.up.length / x.rank;
  let product = 0;
  for (let i = 0; i < x.rank; i++) {
    for (let j = 0; j < y.rank; j++) {
      let [outer, inner] = [0, 0];
      for (let row = 0; row < height; row++) {
        outer += (x.up[row * x.rank + i] as number) * (y.up[row * y.rank + j] as number);
      }
      for (let at = 0; at < width; at++) {
        inner += (x.down[i * width + at] as number) * (y.down[j * width + at] as number);
      }
      product += outer * inner;
    }
  }
  return x.scale * y.scale * product;
}
