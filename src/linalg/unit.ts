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
  const units = { width, values: values.slice() };
  scaleRowsToUnit(units);
  return units;
}

/** Brings rows to unit length where they are; those of zeros stay as they are. */
export function scaleRowsToUnit({ width, values }: Rows): void {
  for (let at = 0; at < values.length; at += width) scaleToUnit(values, at, at + width);
}

/**
 * Brings a vector, or some numbers of an array, to unit length where it is; one of all zeros stays as it is. Its length is
 * taken in float64, which float32 numbers neither over- nor underflow.
 */
export function scaleToUnit(values: Float32Array, begin = 0, end = values.length): void {
  const length = Math.sqrt(dot(values, values, begin, begin, end)) || 1;
  for (let i = begin; i < end; i++) values[i] = (values[i] as number) / length;
}

/** Length of a vector; 1 of one of all zeros, which can be divided by. */
export function lengthOf(vector: Float32Array): number {
  return Math.sqrt(dot(vector, vector)) || 1;
}
