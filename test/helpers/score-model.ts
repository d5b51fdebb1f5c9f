import type { ScoreModel } from "../../src/experts/score-calibration-model.js";
import { Random } from "../../src/linalg/random.js";
import { type Rows, rowOf } from "../../src/linalg/rows.js";
import { toUnitRows } from "../../src/linalg/unit.js";

/** Rows of random directions at unit length. */
export function createUnitRows(count: number, width: number, seed: number): Rows {
  return toUnitRows({ width, values: new Random(seed).spread(count * width, 1) });
}

/** One of such. */
export function createUnit(width: number, seed: number): Float32Array {
  return rowOf(createUnitRows(1, width, seed), 0);
}

/** What an expert's scores may be told by: three labels, 6 numbers a representation and 5 a text. */
export function createScoreModel(changes: Partial<ScoreModel> = {}): ScoreModel {
  return {
    objective: "zeroshot",
    background: createUnitRows(40, 6, 1),
    labels: ["cat", "dog", "owl"],
    queries: createUnitRows(3, 6, 2),
    texts: createUnitRows(3, 5, 3),
    radius: 0.25,
    novelty: 0.3,
    text: { seen: { z: 1, cosine: 6, offset: -8 }, unseen: { z: 0.5, cosine: 2, offset: -4 } },
    example: { z: 0, cosine: 9, offset: -6 },
    oneOfMany: { seen: 30, unseen: 8, offset: 3 },
    ...changes,
  };
}
