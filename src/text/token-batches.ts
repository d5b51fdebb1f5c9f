import type { Side } from "./tokenizer-settings.js";

/** Texts that go through the model at once. */
export interface TokenBatch {
  /** Positions in the list of texts. */
  readonly indices: readonly number[];
  /** Tokens of each text after filling up. */
  readonly length: number;
}

/** 4,096 tokens: 53 texts of CLIP's 77, whose widest layer (3,072 float32 numbers per token) then takes 50 MB. */
const maxBatchTokens = 4096;

/**
 * Groups texts of like length, so that little is filled up.
 *
 * @param lengths tokens of each text after filling it up alone.
 */
export function toBatches(lengths: readonly number[]): TokenBatch[] {
  const order = lengths.map((_, index) => index).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0));
  const batches: { indices: number[]; length: number }[] = [];
  for (const index of order) {
    const length = lengths[index] ?? 0;
    const last = batches.at(-1);
    if (last === undefined || (last.indices.length + 1) * length > maxBatchTokens) {
      batches.push({ indices: [index], length });
    } else {
      last.indices.push(index);
      last.length = length;
    }
  }
  return batches;
}

/** Token ids filled up to one length, and which of them are the texts' (1) or fill up (0); both texts × length. */
export function toPadded(
  sequences: readonly (readonly number[])[],
  length: number,
  pad: { readonly padId: number; readonly padSide: Side },
): { readonly ids: BigInt64Array; readonly mask: BigInt64Array } {
  const ids = new BigInt64Array(sequences.length * length).fill(BigInt(pad.padId));
  const mask = new BigInt64Array(sequences.length * length);
  for (const [row, sequence] of sequences.entries()) {
    const begin = row * length + (pad.padSide === "left" ? length - sequence.length : 0);
    ids.set(sequence.map(BigInt), begin);
    mask.fill(1n, begin, begin + sequence.length);
  }
  return { ids, mask };
}
