import type { RowBlock } from "../compute/compute-backend.js";
import { widen } from "../linalg/widen.js";
import type { LayerMatrices, StatePart } from "../projection/accumulator.js";
import { SKETCH_BUCKETS } from "../trees/sketches/sketch.js";
import { MAX_SKETCH_BLOCKS } from "../trees/sketches/sketch-edges.js";
import type { SketchKernel } from "../trees/sketches/sketch-kernel.js";
import { addMoments } from "../trees/sketches/sketch-moments.js";
import type { TensorRole } from "../weights/layer.js";
import { assertSketch, layerSketchKinds } from "./layer-sketch-kind.js";

/** The factors of a LoRA layer on their way through a worker, kept for the sketch of their second moments. */
export interface FactorMoments {
  /** Takes in rows of a factor; other tensors are passed over. */
  add(role: TensorRole, block: RowBlock): void;
  /** 128 × 64 numbers, all 0 for a layer that is 0; see `addMoments`. */
  sketch(): Float64Array;
  state(): StatePart[];
  restore(parts: readonly StatePart[]): void;
  /** The sketch, for another process to judge by. */
  total(): StatePart;
  /**
   * Takes the {@link total} of a layer that was sketched elsewhere.
   *
   * @throws InvalidInputError as `assertSketch`.
   */
  adopt(part: StatePart): void;
}

/**
 * Rank at most: the moments of one of 256 on 3,072 × 3,072 take 0.4 G operations. Of a higher one only the representation
 * tells.
 */
export const maxMomentsRank = 256;

/** Begins the moments of a layer; undefined if it is no LoRA layer or of too high a rank. Memory: the factors as float32. */
export function createFactorMoments(kernel: SketchKernel, matrices: LayerMatrices): FactorMoments | undefined {
  const { "lora-down": down, "lora-up": up } = matrices;
  if (down === undefined || up === undefined || down.rowCount > maxMomentsRank) return undefined;
  const rank = down.rowCount;
  // Not before there are any: whoever takes a sketch from elsewhere has none.
  let made: Record<"lora-down" | "lora-up", Float32Array> | undefined;
  const factorsOf = (): NonNullable<typeof made> => {
    made ??= {
      "lora-down": new Float32Array(rank * down.columnCount),
      "lora-up": new Float32Array(up.rowCount * rank),
    };
    return made;
  };
  let sketched: Float64Array | undefined;
  const sketch = (): Float64Array => {
    if (sketched !== undefined) return sketched;
    const sum = new Float64Array(MAX_SKETCH_BLOCKS * SKETCH_BUCKETS);
    const { "lora-down": down, "lora-up": up } = factorsOf();
    addMoments(sum, MAX_SKETCH_BLOCKS, 0, { rank, down, up }, kernel.gram);
    sketched = sum;
    return sum;
  };
  return {
    add: (role, block) => {
      if (role !== "lora-down" && role !== "lora-up") return;
      sketched = undefined;
      const values = new Float32Array(block.rowCount * block.columnCount);
      widen(block.bytes, block.dtype, values);
      // Rows that a segment's end cut come twice, with zeros for the other part.
      const [factor, begin] = [factorsOf()[role], block.rowBegin * block.columnCount];
      for (let i = 0; i < values.length; i++) factor[begin + i] = (factor[begin + i] as number) + (values[i] as number);
    },
    sketch,
    state: () => [
      { name: "factor-down", rows: rank, columns: down.columnCount, values: factorsOf()["lora-down"].slice() },
      { name: "factor-up", rows: up.rowCount, columns: rank, values: factorsOf()["lora-up"].slice() },
    ],
    restore: (parts) => {
      factorsOf()["lora-down"].set(parts.find(({ name }) => name === "factor-down")?.values ?? []);
      factorsOf()["lora-up"].set(parts.find(({ name }) => name === "factor-up")?.values ?? []);
    },
    total: () => ({ name: layerSketchKinds.lora, ...momentsSize, values: Float32Array.from(sketch()) }),
    adopt: (part) => {
      assertSketch(part, { name: layerSketchKinds.lora, ...momentsSize });
      sketched = Float64Array.from(part.values);
    },
  };
}

const momentsSize = { rows: MAX_SKETCH_BLOCKS, columns: SKETCH_BUCKETS };
