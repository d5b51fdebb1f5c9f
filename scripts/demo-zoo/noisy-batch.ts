import type { Random } from "../../src/linalg/random.js";
import { patchNumbers, tokenNumbers, tokens } from "./denoiser-graph.js";
import { pictureNumbers, side } from "./draw-picture.js";

/** Pictures with noise, as a denoiser takes them, and without. */
export interface NoisyBatch {
  /** Pictures·tokens × `tokenNumbers`. */
  readonly input: Float32Array<ArrayBuffer>;
  /** Pictures·tokens × `patchNumbers`. */
  readonly wanted: Float32Array<ArrayBuffer>;
}

const patchesAcross = Math.sqrt(tokens);
const patchSide = side / patchesAcross;
/** Numbers of a row of pixels of a picture, and of a patch. */
const [pictureRow, patchRow] = [side * 3, patchSide * 3];

/**
 * Mixes each picture with noise of its own, (1 − t)·picture + t·noise, t being drawn anew for each from 0.3 to 1: the
 * noisier, the more a denoiser has to know what there is to see.
 */
export function toNoisyBatch(pictures: readonly Float32Array[], random: Random): NoisyBatch {
  const input = new Float32Array(pictures.length * tokens * tokenNumbers);
  const wanted = new Float32Array(pictures.length * pictureNumbers);
  // Evenly spread with a variance of 1.
  const width = Math.sqrt(12);
  for (const [index, picture] of pictures.entries()) {
    const t = 0.3 + 0.7 * random.next();
    for (let token = 0; token < tokens; token++) {
      const [top, left] = [Math.floor(token / patchesAcross) * patchSide, (token % patchesAcross) * patchSide];
      const from = (index * tokens + token) * tokenNumbers;
      const to = (index * tokens + token) * patchNumbers;
      for (let i = 0; i < patchNumbers; i++) {
        const clean = picture[(top + Math.floor(i / patchRow)) * pictureRow + left * 3 + (i % patchRow)] as number;
        wanted[to + i] = clean;
        input[from + i] = (1 - t) * clean + t * (random.next() - 0.5) * width;
      }
      input[from + patchNumbers] = 2 * t - 1;
    }
  }
  return { input, wanted };
}
