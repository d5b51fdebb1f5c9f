import type { TensorInfo } from "../../weights/layer.js";
import { findLoraPairs, type LoraPair } from "../../weights/lora-pairs.js";
import type { ModelFile } from "../../weights/model-file.js";
import { compareWeights, type Likeness } from "./compare-weights.js";
import { ProductFit, type TypedFactors } from "./product-fit.js";
import { isNumberTensor, readNumbers, toNumberCount } from "./read-pairs.js";

/**
 * Distance up to which products of factors are the same, by the type of the coarsest factor: of float16 some six times,
 * of bfloat16 three times what rounding both factors moves a product by, which a turned basis amplifies. Between factors
 * that were turned, a fine-tune at 0.3 % is told apart in float16 and finer types; bfloat16 itself moves a product by that
 * much.
 */
const mostDistance: ReadonlyMap<string, number> = new Map([
  ["F64", 1e-4],
  ["F32", 1e-4],
  ["F16", 2.5e-3],
  ["BF16", 1e-2],
]);

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
  const fit = new ProductFit();
  for (const [module, pair] of first.pairs) {
    const other = second.pairs.get(module);
    if (other === undefined || other.inWidth !== pair.inWidth || other.outWidth !== pair.outWidth) return undefined;
    const x = await readFactors(a, pair, signal);
    const y = await readFactors(b, other, signal);
    if (x === undefined || y === undefined || !fit.add(x, y)) return undefined;
  }
  const limit = toLimit([...first.pairs.values(), ...second.pairs.values()]);
  return fit.fits(limit) ? { kind: "factors", distance: fit.distance } : undefined;
}

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

async function readFactors(model: ModelFile, pair: LoraPair, signal?: AbortSignal): Promise<TypedFactors | undefined> {
  const [down, up] = [await readWhole(model, pair.down, signal), await readWhole(model, pair.up, signal)];
  if (down === undefined || up === undefined) return undefined;
  const { rank, alpha, scale = 1 } = pair;
  const factors = { types: [down.dtype, up.dtype] as const, rank, down: down.values, up: up.values };
  if (alpha === undefined) return { ...factors, scale };
  const value = (await readWhole(model, alpha, signal))?.values[0];
  return value === undefined ? undefined : { ...factors, scale: value / rank };
}

async function readWhole(model: ModelFile, tensor: TensorInfo, signal?: AbortSignal) {
  if (!isNumberTensor(tensor)) return undefined;
  return { dtype: tensor.dtype, values: await readNumbers(model, tensor, 0, toNumberCount(tensor), signal) };
}
