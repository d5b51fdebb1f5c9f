import type { UploadState } from "../../src/search/upload-state.js";
import { randomBytes, randomValues } from "./random.js";

/** A saved upload with seeded numbers: a LoRA for one expert and a dense layer for another. */
export function createUploadState(seed: number): UploadState {
  return {
    fingerprint: `fingerprint of ${seed}`,
    state: {
      tensors: [
        { offset: 8 * 1024 * 1024 + 5, segmentDigests: randomBytes(64, seed) },
        { offset: 0, segmentDigests: new Uint8Array(0) },
      ],
      targets: [
        [
          { name: "alpha", rows: 1, columns: 1, values: Float32Array.of(-0) },
          { name: "au", rows: 4, columns: 5, values: randomValues(20, seed + 2) },
          { name: "vb", rows: 3, columns: 4, values: randomValues(12, seed + 1) },
        ],
        [{ name: "sum", rows: 2, columns: 2, values: Float32Array.of(1e-45, 3e38, -0, 1) }],
      ],
    },
  };
}
