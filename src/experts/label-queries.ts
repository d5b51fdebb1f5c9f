import { dot } from "../linalg/dot.js";
import type { Rows } from "../linalg/rows.js";
import { toUnitRows } from "../linalg/unit.js";
import type { Checkpoint } from "./checkpoint.js";

/**
 * Queries in an expert's space at unit length: the images H·t + c of texts, or, of a classification expert, the rows of its
 * head, one per label. A row without length stays 0.
 *
 * @param texts vectors of texts, d_text wide; of no use to a classification expert.
 */
export function toLabelQueries({ objective, head }: Pick<Checkpoint, "objective" | "head">, texts: Rows): Rows {
  const { weight, bias } = head;
  if (objective === "classification") return toUnitRows({ width: weight.columns, values: weight.values });
  const count = texts.values.length / texts.width;
  const values = new Float32Array(count * weight.rows);
  for (let text = 0; text < count; text++) {
    const vector = texts.values.subarray(text * texts.width, (text + 1) * texts.width);
    for (let row = 0; row < weight.rows; row++) {
      values[text * weight.rows + row] = dot(vector, weight.values, row * weight.columns) + (bias[row] as number);
    }
  }
  return toUnitRows({ width: weight.rows, values });
}
