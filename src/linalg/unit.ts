import { dot } from "./dot.js";
import type { Rows } from "./rows.js";

/** A copy of a vector at unit length; one of all zeros stays as it is. Sums are float64. */
export function toUnit(vector: Float32Array): Float32Array {
  const unit = vector.slice();
  scaleToUnit(unit);
  return unit;
}

/** A copy of rows at unit length; those of zeros stay as they are. */
export function toUnitRows({ width, values }: Rows): Rows {
  const units = values.slice();
  for (let at = 0; at < units.length; at += width) scaleToUnit(units.subarray(at, at + width));
  return { width, values: units };
}

/** Brings a vector to unit length where it is; one of all zeros stays as it is. */
export function scaleToUnit(vector: Float32Array): void {
  const norm = Math.sqrt(dot(vector, vector)) || 1;
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) / norm;
}
