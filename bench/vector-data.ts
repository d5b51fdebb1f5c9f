import { Random } from "../src/linalg/random.js";
import type { NewRecord } from "../src/vectors/vector-record.js";
import type { SpaceSpec } from "../src/vectors/vector-store.js";

/** Made-up representations: the same for the same seed, row by row, however many are asked for. */
export interface VectorData {
  readonly space: SpaceSpec;
  /** Writes a row: of unit length up to rounding. Rows beyond those stored are queries of the same kind. */
  fill(row: number, target: Float32Array): void;
  /** A row as a record; of its metadata `one_in_100` and `one_in_10` are 0 for that share of the records. */
  record(row: number): NewRecord;
}

const clusterCount = 2000;
const directionCount = 4096;
const latentWidth = 64;

/**
 * Makes data such as representations are: 2,000 clusters that lie in 64 dimensions of the space, spread within those, and
 * some noise in all.
 */
export function createVectorData(width: number, seed = 1): VectorData {
  const random = new Random(seed);
  const basis = Array.from({ length: latentWidth }, () => random.spread(width, 1 / Math.sqrt(width)));
  const project = (): Float32Array => {
    const latent = random.spread(latentWidth, 1 / Math.sqrt(latentWidth));
    const vector = new Float32Array(width);
    for (const [axis, direction] of basis.entries()) {
      const scale = latent[axis] as number;
      for (let i = 0; i < width; i++) vector[i] = (vector[i] as number) + scale * (direction[i] as number);
    }
    return vector;
  };
  const clusters = Array.from({ length: clusterCount }, project);
  const directions = Array.from({ length: directionCount }, project);

  const fill = (row: number, target: Float32Array): void => {
    const own = new Random((seed * 0x9e3779b1 + row * 0x85ebca6b) >>> 0);
    const cluster = clusters[Math.floor(own.next() * clusterCount)] as Float32Array;
    const first = directions[Math.floor(own.next() * directionCount)] as Float32Array;
    const second = directions[Math.floor(own.next() * directionCount)] as Float32Array;
    let square = 0;
    for (let i = 0; i < width; i++) {
      const noise = (own.next() - 0.5) * (0.5 / Math.sqrt(width));
      const value = (cluster[i] as number) + 0.4 * (first[i] as number) - 0.4 * (second[i] as number) + noise;
      target[i] = value;
      square += value * value;
    }
    const length = Math.sqrt(square);
    for (let i = 0; i < width; i++) target[i] = (target[i] as number) / length;
  };

  return {
    space: { spaceId: seed.toString(16).padStart(64, "0"), width, expertName: "bench" },
    fill,
    record: (row) => {
      const vector = new Float32Array(width);
      fill(row, vector);
      const own = new Random((row * 0xc2b2ae35 + seed) >>> 0);
      const metadata = {
        one_in_100: Math.floor(own.next() * 100),
        one_in_10: Math.floor(own.next() * 10),
        name: `model ${row}`,
      };
      const id = `owner-${row % 977}/model-${String(row).padStart(8, "0")}`;
      return { id, vector, weightsHash: "", fileHash: "", tree: "", base: "", metadata, claims: {} };
    },
  };
}
