import { encode } from "fast-png";
import { Random } from "../../src/linalg/random.js";
import { drawPicture, side } from "./draw-picture.js";
import type { PlannedModel } from "./plan.js";

/** Thumbnails in a row of a sheet. */
export const sheetColumns = 48;
/** Levels of a colour channel: the fewer, the smaller the file. */
const levels = 12;

/**
 * Draws a thumbnail per model, the first of the pictures that it was fine-tuned on; of a model with several concepts four
 * of them at half the size. All stand on one sheet, in the order of the models, row by row.
 *
 * @returns a PNG file.
 */
export function drawSheet(models: readonly Pick<PlannedModel, "seed" | "concepts">[]): Uint8Array {
  const rows = Math.ceil(models.length / sheetColumns);
  const [width, height] = [sheetColumns * side, rows * side];
  const data = new Uint8Array(width * height * 3);
  for (const [index, { seed, concepts }] of models.entries()) {
    const random = new Random(seed);
    const [left, top] = [(index % sheetColumns) * side, Math.floor(index / sheetColumns) * side];
    const pictures = concepts.slice(0, 4).map((concept) => drawPicture(concept, random));
    const step = pictures.length > 1 ? 2 : 1;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const cell = step === 1 ? 0 : Math.floor(y / (side / 2)) * 2 + Math.floor(x / (side / 2));
        const picture = pictures[cell] ?? pictures[0];
        const [row, column] = [(y * step) % side, (x * step) % side];
        for (let channel = 0; channel < 3; channel++) {
          const value = ((picture?.[(row * side + column) * 3 + channel] ?? -1) + 1) / 2;
          const level = Math.round(Math.min(1, Math.max(0, value)) * (levels - 1));
          data[((top + y) * width + left + x) * 3 + channel] = Math.round((255 * level) / (levels - 1));
        }
      }
    }
  }
  return encode({ width, height, data, channels: 3, depth: 8 });
}
