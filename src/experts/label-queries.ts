import type { Rows } from "../linalg/rows.js";
import type { Checkpoint } from "./checkpoint.js";
import { dotRow } from "./score-calibration-background.js";

/**
 * Queries in an expert's space at unit length: the images H·t + c of texts, or, of a classification expert, the rows of its
 * head, one per label. A row without length stays 0.
 *
 * @param texts vectors of texts, d_text wide; of no use to a classification expert.
 */
export function toLabelQueries({ objective, head }: Pick<Checkpoint, "objective" | "head">, texts: Rows): Rows {
  const { weight, bias } = head;
  if (objective === "classification") return toUnit({ width: weight.columns, values: weight.values });
  const count = texts.values.length / texts.width;
  const values = new Float32Array(count * weight.rows);
  for (let text = 0; text < count; text++) {
    const vector = texts.values.subarray(text * texts.width, (text + 1) * texts.width);
    for (let row = 0; row < weight.rows; row++) {
      values[text * weight.rows + row] = dotRow(vector, weight.values, row * weight.columns) + (bias[row] as number);
    }
  }
  return toUnit({ width: weight.rows, values });
}

/** A copy of rows at unit length; those of zeros stay as they are. */
export function toUnit({ width, values }: Rows): Rows {
  const units = values.slice();
  for (let at = 0; at < units.length; at += width) {
    const row = units.subarray(at, at + width);
    const norm = Math.sqrt(dotRow(row, units, at)) || 1;
    for (let i = 0; i < width; i++) row[i] = (row[i] as number) / norm;
  }
  return { width, values: units };
}
