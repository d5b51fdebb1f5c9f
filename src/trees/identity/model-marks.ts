import { createHash } from "node:crypto";
import { type Dtype, isDtype } from "../../linalg/dtype.js";
import type { ModelFile } from "../../weights/model-file.js";
import type { Rows } from "../../weights/stream-rows.js";
import type { ModelObserver } from "../discovery/read-models.js";
import { toRoundingShare } from "./cell-width.js";
import { canShowGrid, GridFit } from "./grid-fit.js";

/** What a model's sketched layer shows of what was done to the file: which pairs may be copies is told by it. */
export interface ModelMarks {
  /** SHA-256, hex, of names and types: other types, another rounding. */
  readonly types: string;
  /** How far rounding to its coarsest type moves a model at most, as a share of its length. */
  readonly rounding: number;
  /** Whether the layer's numbers lie on a grid. */
  readonly isOnGrid: boolean;
  /** Share of the layer's numbers that are 0. */
  readonly zeros: number;
}

/** Numbers that are looked at for a grid. */
const sampleNumbers = 4096;

/** Looks at a model while its layer is read; `done` is given what was seen. */
export function observeMarks(model: ModelFile, done: (marks: ModelMarks) => void): ModelObserver {
  const dtypes = [...model.tensors.values()].map(({ dtype }) => dtype).filter(isDtype);
  const lines = [...model.tensors.values()].map(({ name, dtype }) => JSON.stringify([name, dtype]));
  const types = createHash("sha256").update(lines.sort().join("\n")).digest("hex");
  const rounding = dtypes.reduce((most, dtype) => Math.max(most, toRoundingShare(dtype)), 0);
  // Numbers that are read are float32; a grid that was rounded to a coarser type is looked for with that one's slack.
  const finest = dtypes.reduce<Dtype>(
    (a, b) => (toRoundingShare(b) > toRoundingShare(a) && canShowGrid(b) ? b : a),
    "F32",
  );
  const sample: number[] = [];
  let [count, zeros, largest, rowLength] = [0, 0, 0, 0];
  return {
    onRows: ({ values, rowCount }: Rows) => {
      rowLength = values.length / rowCount;
      for (const value of values) {
        if (value === 0) zeros++;
        largest = Math.max(largest, Math.abs(value));
      }
      for (let at = 0; at < values.length && sample.length < sampleNumbers; at++) sample.push(values[at] as number);
      count += values.length;
    },
    end: () => {
      const numbers = Float32Array.from(sample);
      const fit = new GridFit({ types: [finest, finest], total: sample.length, rowLength, largest });
      const isOnGrid = sample.length > 0 && fit.add({ a: numbers, b: numbers, begin: 0 }) && fit.fits();
      done({ types, rounding, isOnGrid, zeros: count === 0 ? 0 : zeros / count });
    },
  };
}
