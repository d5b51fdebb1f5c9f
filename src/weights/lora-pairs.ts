import type { TensorInfo } from "./layer.js";
import { parseFactorName } from "./lora-naming.js";

/** The factors of one LoRA layer X = s · B A, as a file has them. */
export interface LoraPair {
  /** Path of the module that they change. */
  readonly module: string;
  /** A, [rank, inWidth]. */
  readonly down: TensorInfo;
  /** B, [outWidth, rank]. */
  readonly up: TensorInfo;
  /** Where the file has one: s = alpha / rank. */
  readonly alpha?: TensorInfo;
  readonly rank: number;
  /** Width of the module's input; of a convolution in · kh · kw. */
  readonly inWidth: number;
  readonly outWidth: number;
}

/** What {@link findLoraPairs} found. */
export interface LoraPairs {
  /** In the order in which the file has their first factor. */
  readonly pairs: readonly LoraPair[];
  /** Factors without a partner, or whose partner does not fit in rank. */
  readonly unpaired: readonly TensorInfo[];
}

/**
 * Finds the LoRA layers of a file by the names in use: `<module>.lora.down.weight` (the authors), `.lora_down.weight`
 * (kohya), `.lora_A.weight` (PEFT), `.lora_linear_layer.down.weight` and `.processor.to_q_lora.down.weight` (diffusers),
 * each with its `up`; and `<module>.alpha` or `<module>.lora.alpha`.
 */
export function findLoraPairs(tensors: ReadonlyMap<string, TensorInfo>): LoraPairs {
  const pairs: LoraPair[] = [];
  const unpaired: TensorInfo[] = [];
  const done = new Set<string>();
  for (const tensor of tensors.values()) {
    const found = parseFactorName(tensor.name);
    if (found === undefined || done.has(tensor.name)) continue;
    const { module, names } = found;
    const down = tensors.get(names.down);
    const up = tensors.get(names.up);
    done.add(names.down).add(names.up);
    const pair = down === undefined || up === undefined ? undefined : toPair(module, down, up);
    if (pair === undefined) {
      for (const factor of [down, up]) if (factor !== undefined) unpaired.push(factor);
      continue;
    }
    const alpha = names.alphas.map((name) => tensors.get(name)).find((found) => found !== undefined);
    pairs.push(alpha === undefined ? pair : { ...pair, alpha });
  }
  return { pairs, unpaired };
}

function toPair(module: string, down: TensorInfo, up: TensorInfo): LoraPair | undefined {
  const [rank, ...input] = down.shape;
  const [outWidth, upRank, ...kernel] = up.shape;
  if (rank === undefined || input.length === 0 || outWidth === undefined) return undefined;
  if (upRank !== rank || kernel.some((extent) => extent !== 1)) return undefined;
  return { module, down, up, rank, inWidth: input.reduce((product, extent) => product * extent, 1), outWidth };
}
