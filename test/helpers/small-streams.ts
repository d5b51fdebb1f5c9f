import type { ExecutionContext } from "ava";
import type { Matrix } from "../../src/compute/compute-backend.js";
import type { EmbedderOptions } from "../../src/search/embedder.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { startTestEmbedder, toEmbedding } from "./embed-client.js";
import { relativeError } from "./oracle.js";
import { randomMatrix } from "./random.js";
import { exactCosines, exactRepresentation, smallExpert, smallWeights, writeSmallExpert } from "./small-experts.js";
import { createTemporaryFolder, type Teardown } from "./temporary-folder.js";

/** Relative error (L2) of float32 sums against float64 ones, at most. */
export const tolerance = 1e-5;

/** Text vectors for the small expert. */
export const texts = randomMatrix(3, 5, 71);

/** Starts an embedder with the small expert alone. */
export async function startSmall(t: Teardown, options: Partial<EmbedderOptions> = {}): Promise<Embedder> {
  return startTestEmbedder(t, await writeSmallExpert(await createTemporaryFolder(t)), options);
}

/** Asserts that a small model came out right, compared with the texts in force. */
export function assertSmall(
  t: ExecutionContext,
  outcome: Parameters<typeof toEmbedding>[0],
  seed: number,
  inForce: Matrix | undefined,
): void {
  const [embedding] = toEmbedding(outcome).embeddings;
  if (embedding === undefined) throw t.fail("no embedding");
  const exact = exactRepresentation(smallExpert, smallWeights(seed));
  t.true(relativeError(embedding.representation, exact) <= tolerance);
  const cosines = inForce === undefined ? [] : exactCosines(smallExpert, exact, inForce);
  t.true(relativeError(embedding.cosines, cosines) <= tolerance);
}

/** So many bytes, all 0. */
export function bytes(count: number): Uint8Array {
  return new Uint8Array(count);
}
