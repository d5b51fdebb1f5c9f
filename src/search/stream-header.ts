import { keptBlockBytes } from "../compute/failover/kept-block-bytes.js";
import { InvalidInputError, LimitExceededError, PreconditionError } from "../errors/probestream-error.js";
import { accumulatorBytes } from "../experts/architecture.js";
import { dtypeBytes } from "../linalg/dtype.js";
import { digestBytes } from "../projection/range-reader.js";
import { targetGroupBytes } from "../projection/row-groups.js";
import { rangeBytes, rowBytes } from "../projection/stored-matrix.js";
import { parseTreeName } from "../trees/tree-file.js";
import type { ModelHeader } from "./embed-stream.js";
import { maxMomentsRank } from "./factor-moments.js";
import type { EmbeddingPlan, ModelManifest, TensorUse } from "./plan-embedding.js";
import { toGaugeKey } from "./target-gauges.js";
import { maxKeptBytes } from "./target-lanes.js";

/** Says which experts serve a model and what they want of it. */
export type Plan = (manifest: ModelManifest) => Promise<EmbeddingPlan>;

/**
 * Plans once more from what a header says: nothing of a plan is kept, and nothing of a header is believed.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a header without space ids.
 * @throws PreconditionError `PLAN_STALE` if its tensors are not those of the plan.
 */
export async function planHeader(header: ModelHeader, plan: Plan): Promise<EmbeddingPlan> {
  const tensors = new Map(header.tensors.map(({ tensor }) => [tensor.name, tensor]));
  if (header.experts.length === 0) {
    throw new InvalidInputError("FIELD_INVALID", "the header has no space_ids; copy those of the plan's targets");
  }
  const { experts, isRouted = false } = header;
  const planned = await plan({ tensors, experts, isRouted });
  const differs =
    planned.tensors.length !== header.tensors.length ||
    planned.tensors.some(({ tensor, beginByte, endByte }, index) => {
      const sent = header.tensors[index];
      return sent?.tensor.name !== tensor.name || sent.beginByte !== beginByte || sent.endByte !== endByte;
    });
  if (!differs) return planned;
  const wanted = planned.tensors.map(({ tensor, beginByte, endByte }) => `"${tensor.name}" ${beginByte} to ${endByte}`);
  throw new PreconditionError(
    "PLAN_STALE",
    `the header's tensors are not those of the plan, which wants, in this order: ${wanted.join(", ")}; copy them from PlanEmbedding`,
  );
}

/** Guards the length of a footer's digest; an empty one is none. */
export function assertDigestLength(digest: Uint8Array): void {
  if (digest.byteLength === 0 || digest.byteLength === digestBytes) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `footer.digest has ${digest.byteLength} bytes; a SHA-256 has ${digestBytes}, and without one the field stays empty`,
    { found: digest.byteLength, expected: digestBytes },
  );
}

/** Guards the length of a chunk. */
export function assertChunkLength(byteLength: number, maxChunkBytes: number): void {
  if (byteLength <= maxChunkBytes) return;
  throw new LimitExceededError(
    "LIMIT_EXCEEDED",
    `a chunk has ${byteLength} bytes; ${maxChunkBytes} are allowed (--max-chunk)`,
    { found: byteLength, limit: maxChunkBytes },
  );
}

/**
 * Bytes that a model keeps in its worker: its accumulators and its longest row.
 *
 * @param keepsBlocks whether its sums may lie on a device that may be lost: then the last blocks of each are kept.
 */
export function modelBytesOf({ tensors, targets, isRouted }: EmbeddingPlan, keepsBlocks: boolean): number {
  // A row longer than a row group is collected whole, and widened up to fourfold.
  const longestRow = Math.max(...tensors.map(({ matrix }) => rowBytes(matrix)));
  let bytes = longestRow > targetGroupBytes ? 5 * longestRow : 0;
  for (const { expert, uses } of targets) {
    const rank = uses.find(({ role }) => role === "lora-up")?.matrix.columnCount;
    bytes += accumulatorBytes(expert.architecture, rank);
    if (keepsBlocks) bytes += keptBytes(uses);
  }
  const gauged = targets.filter(({ expert }) => parseTreeName(expert.extra) !== undefined);
  const shared = new Map(gauged.map(({ uses }) => [toGaugeKey(uses), uses]));
  for (const uses of shared.values()) bytes += isDense(uses) ? sketchBytes : isKept(uses) ? factorBytes(uses) : 0;
  // Rows are kept until it is known who serves: see `createTargetLanes`.
  const wholeBytes = tensors.reduce((sum, { matrix }) => sum + rangeBytes(matrix), 0);
  return isRouted && [...shared.values()].some(isDense)
    ? bytes + Math.min(wholeBytes, maxKeptBytes + targetGroupBytes)
    : bytes;
}

function isDense(uses: readonly TensorUse[]): boolean {
  return uses.some(({ role }) => role === "weight");
}

/** Whether the factors of a LoRA layer are kept for what they tell of its tree. */
function isKept(uses: readonly TensorUse[]): boolean {
  return uses.some(({ role, matrix }) => role === "lora-down" && matrix.rowCount <= maxMomentsRank);
}

/** Factors as float32, and a copy of them on the way to the store. */
function factorBytes(uses: readonly TensorUse[]): number {
  const factors = uses.filter(({ role }) => role === "lora-down" || role === "lora-up");
  return factors.reduce(
    (sum, { matrix }) => sum + 2 * Float32Array.BYTES_PER_ELEMENT * matrix.rowCount * matrix.columnCount,
    0,
  );
}

/** A sketch of 128 × 64 float64 numbers, and a copy of its state on the way to the store. */
const sketchBytes = 128 * 64 * (8 + 4);

/** Bytes of blocks that an accumulator's sums keep at most: those of a row group more than is allowed, or all there are. */
function keptBytes(uses: readonly TensorUse[]): number {
  const isScaled = uses.some(({ role }) => role === "weight-scale");
  const summed = uses.filter(({ role }) => role === "weight" || role === "lora-up" || role === "lora-down");
  return summed.reduce((sum, { matrix }) => {
    // With its scale a block is kept as float32.
    const growth = isScaled ? Float32Array.BYTES_PER_ELEMENT / dtypeBytes[matrix.dtype] : 1;
    const group = Math.max(targetGroupBytes, rowBytes(matrix));
    return sum + Math.min(growth * rangeBytes(matrix), keptBlockBytes + growth * group);
  }, 0);
}

/** Bytes of a model's result on the wire, about. */
export function answerBytesOf({ targets, isRouted }: EmbeddingPlan, textCount: number): number {
  const names = targets.map(({ expert }) => expert.labels.reduce((sum, label) => sum + 3 * label.length + 4, 0));
  const numbers = targets.map(({ expert }) => expert.representationWidth + 2 * expert.labelCount + textCount);
  const bytes = numbers.map((count, index) => 4 * count + (names[index] ?? 0) + 720);
  return isRouted ? Math.max(...bytes) : bytes.reduce((sum, each) => sum + each, 0);
}
