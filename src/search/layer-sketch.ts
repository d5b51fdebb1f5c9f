import type { RowBlock } from "../compute/compute-backend.js";
import { widen } from "../linalg/widen.js";
import type { LayerMatrices, StatePart } from "../projection/accumulator.js";
import { assertFinite } from "../projection/assert-finite.js";
import { takeNumbers, toScaled } from "../projection/row-scale.js";
import type { StoredMatrix } from "../projection/stored-matrix.js";
import { SKETCH_BUCKETS, type Sketch, toSketchBlock } from "../trees/sketches/sketch.js";
import type { SketchKernel } from "../trees/sketches/sketch-kernel.js";
import type { TensorRole } from "../weights/layer.js";
import { assertSketch, layerSketchKinds } from "./layer-sketch-kind.js";

/** The sketch of a dense layer on its way through a worker, grown beside the projection. */
export interface LayerSketch {
  readonly sketch: Sketch;
  readonly matrix: StoredMatrix;
  /** Rows that came whole. */
  readonly rows: number;
  /** Takes in rows of a tensor, those that the expert reads; tensors that are no part of a dense layer are passed over. */
  add(role: TensorRole, block: RowBlock): void;
  /** All that is needed to go on later. */
  state(): StatePart[];
  restore(parts: readonly StatePart[], rows: number): void;
  /** The sketch of the whole layer, for another process to judge by. */
  total(): StatePart;
  /**
   * Takes the {@link total} of a layer that was sketched elsewhere.
   *
   * @throws InvalidInputError as `assertSketch`.
   */
  adopt(part: StatePart): void;
}

/** Begins the sketch of a layer; undefined if it is not dense. */
export function createLayerSketch(kernel: SketchKernel, matrices: LayerMatrices): LayerSketch | undefined {
  const { weight, "weight-scale": scales } = matrices;
  if (weight === undefined) return undefined;
  const columnCount = weight.columns.end - weight.columns.begin;
  const sketch = kernel.create({ rowCount: weight.rowCount, columnCount });
  let scale: Float32Array | undefined;
  const sizes = { rows: sketch.edges.length - 1, columns: SKETCH_BUCKETS };
  let rows = 0;
  return {
    sketch,
    matrix: weight,
    get rows() {
      return rows;
    },
    add: (role, block) => {
      if (role === "weight-scale" && scales !== undefined) scale = takeNumbers(scale, scales, block);
      if (role !== "weight") return;
      const scaled = scale === undefined ? block : toScaled(block, scale);
      sketch.add(scaled);
      assertSketchFinite(sketch, scaled, weight);
      const end = block.rowBegin + block.rowCount;
      // The end of a segment may cut the last row, which then comes again.
      rows = end === weight.rowCount ? end : end - 1;
    },
    state: () => [
      {
        name: "sketch",
        ...sizes,
        values: Float32Array.from(sketch.values),
      },
      ...(scale === undefined ? [] : [{ name: "sketch-scale", rows: scale.length, columns: 1, values: scale.slice() }]),
    ],
    restore: (parts, rowsBefore) => {
      sketch.values.set(parts.find(({ name }) => name === "sketch")?.values ?? []);
      scale = parts.find(({ name }) => name === "sketch-scale")?.values.slice();
      rows = rowsBefore;
    },
    total: () => ({ name: layerSketchKinds.dense, ...sizes, values: Float32Array.from(sketch.values) }),
    adopt: (part) => {
      assertSketch(part, { name: layerSketchKinds.dense, ...sizes });
      sketch.values.set(part.values);
      rows = weight.rowCount;
    },
  };
}

/** Rows that are kept are projected only later: what is not finite among them is to be named, not to look foreign. */
function assertSketchFinite({ edges, values }: Sketch, block: RowBlock, weight: StoredMatrix): void {
  const first = toSketchBlock(edges, block.rowBegin);
  const last = toSketchBlock(edges, block.rowBegin + block.rowCount - 1);
  if (values.subarray(first * SKETCH_BUCKETS, (last + 1) * SKETCH_BUCKETS).every(Number.isFinite)) return;
  const numbers = new Float32Array(block.rowCount * block.columnCount);
  widen(block.bytes, block.dtype, numbers);
  assertFinite(numbers, weight, block);
}
