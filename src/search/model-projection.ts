import { createHash } from "node:crypto";
import type { BackendUse } from "../compute/compute-backend.js";
import { CorruptDataError, InvalidInputError } from "../errors/probestream-error.js";
import type { Accumulator, LayerMatrices, Projector } from "../projection/accumulator.js";
import { createRangeReader, type RangeReader } from "../projection/range-reader.js";
import { sliceColumns } from "../projection/slice-columns.js";
import type { StoredMatrix } from "../projection/stored-matrix.js";
import type { ModelState, WorkerTarget } from "./embed-messages.js";

/** One model on its way through a worker: bytes in, responses of every target out. */
export interface ModelProjection {
  /** Time spent so far, in milliseconds. */
  readonly times: { digestMs: number; projectMs: number };
  readonly rowsProjected: number;
  /** What did the arithmetic so far, each backend once, in the order of their first rows. */
  uses(): BackendUse[];
  /** Takes in the next bytes of a tensor. `onSegment` is called when {@link state} is worth keeping. */
  accept(tensorIndex: number, bytes: Uint8Array, onSegment: () => Promise<void>): Promise<void>;
  /** Copies of all that is needed to go on later. */
  state(): Promise<ModelState>;
  /**
   * Checks the digest and gives the responses per target.
   *
   * @throws CorruptDataError `DIGEST_MISMATCH`
   * @throws InvalidInputError `TENSOR_INCOMPLETE`
   */
  finish(digest: Uint8Array | undefined): Promise<Float32Array[]>;
  dispose(): Promise<void>;
}

/** Opens the projection of one model, anew or from a saved state. */
export async function openModelProjection(
  tensors: readonly StoredMatrix[],
  targets: readonly (WorkerTarget & { readonly projector: Projector })[],
  saved: ModelState | undefined,
): Promise<ModelProjection> {
  const times = { digestMs: 0, projectMs: 0 };
  const accumulators: Accumulator[] = targets.map(({ projector, uses }) =>
    projector.open(Object.fromEntries(uses.map(({ role, matrix }) => [role, matrix])) satisfies LayerMatrices),
  );
  if (saved !== undefined) {
    for (const [index, accumulator] of accumulators.entries()) await accumulator.restore(saved.targets[index] ?? []);
  }
  const readers: RangeReader[] = tensors.map((matrix, tensorIndex) => {
    const uses = targets.flatMap((target, index) =>
      target.uses
        .filter((use) => use.tensorIndex === tensorIndex)
        .map((use) => ({ ...use, accumulator: accumulators[index] as Accumulator })),
    );
    return createRangeReader(
      matrix,
      async (block) => {
        for (const { role, accumulator, matrix: used } of uses) {
          await accumulator.add(role, sliceColumns(block, used.columns));
        }
      },
      times,
      saved?.tensors[tensorIndex],
    );
  });

  return {
    times,
    get rowsProjected() {
      return readers.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    },
    uses: () => mergeUses(accumulators.flatMap((accumulator) => accumulator.uses())),
    accept: (tensorIndex, bytes, onSegment) => (readers[tensorIndex] as RangeReader).accept(bytes, onSegment),
    state: async () => ({
      tensors: readers.map(({ offset, segmentDigests }) => ({ offset, segmentDigests })),
      targets: await oneByOne(accumulators, (accumulator) => accumulator.state()),
    }),
    finish: async (digest) => {
      const incomplete = readers.findIndex(({ offset, length }) => offset !== length);
      if (incomplete >= 0) throw tooShort(tensors[incomplete] as StoredMatrix, readers[incomplete] as RangeReader);
      if (digest !== undefined) assertDigest(readers, digest);
      return oneByOne(accumulators, (accumulator) => accumulator.finish());
    },
    dispose: async () => {
      for (const accumulator of accumulators) await accumulator.dispose();
    },
  };
}

/** One after another: accumulators share a backend, which belongs to one caller at a time. */
async function oneByOne<T>(
  accumulators: readonly Accumulator[],
  ask: (accumulator: Accumulator) => Promise<T>,
): Promise<T[]> {
  const answers: T[] = [];
  for (const accumulator of accumulators) answers.push(await ask(accumulator));
  return answers;
}

function mergeUses(uses: readonly BackendUse[]): BackendUse[] {
  const merged = new Map<string, BackendUse>();
  for (const use of uses) {
    const key = JSON.stringify([use.name, use.device]);
    merged.set(key, { ...use, rows: use.rows + (merged.get(key)?.rows ?? 0) });
  }
  return [...merged.values()];
}

function tooShort({ name }: StoredMatrix, { offset, length }: RangeReader): InvalidInputError {
  return new InvalidInputError(
    "TENSOR_INCOMPLETE",
    `the footer came after ${offset} of ${length} bytes of tensor "${name}"; send all bytes of the range first`,
    { tensor: name, found: offset, expected: length },
  );
}

function assertDigest(readers: readonly RangeReader[], digest: Uint8Array): void {
  const hash = createHash("sha256");
  for (const { segmentDigests } of readers) hash.update(segmentDigests);
  const found = hash.digest();
  if (found.equals(digest)) return;
  throw new CorruptDataError(
    "DIGEST_MISMATCH",
    `the bytes that arrived have digest ${found.toString("hex")}, the footer says ${Buffer.from(digest).toString("hex")}: they were damaged on the way, or the file changed during the upload; upload it again`,
    { found: found.toString("hex"), expected: Buffer.from(digest).toString("hex") },
  );
}
