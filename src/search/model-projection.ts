import { createHash } from "node:crypto";
import type { BackendUse } from "../compute/compute-backend.js";
import { CorruptDataError, InvalidInputError } from "../errors/probestream-error.js";
import type { Projector, StatePart } from "../projection/accumulator.js";
import { createRangeReader, type RangeReader } from "../projection/range-reader.js";
import { sliceColumns } from "../projection/slice-columns.js";
import { rowBytes, type StoredMatrix } from "../projection/stored-matrix.js";
import type { SketchKernel } from "../trees/sketch-kernel.js";
import type { Tree } from "../trees/tree.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { ModelState, WorkerTarget } from "./embed-messages.js";
import { createTargetChoice } from "./target-choice.js";
import { createTargetLanes } from "./target-lanes.js";
import { createTargetSketches, toMatch } from "./target-sketches.js";

/** Responses of one target, and how the model stands to its tree where the layer tells. */
export interface TargetResponses {
  /** Place among the model's targets. */
  readonly target: number;
  readonly responses: Float32Array;
  readonly match: TreeMatch | undefined;
}

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
   * Checks the digest and gives the responses per target; of a routed dense layer those of the chosen one.
   *
   * @throws CorruptDataError `DIGEST_MISMATCH`
   * @throws InvalidInputError `TENSOR_INCOMPLETE`
   * @throws NotFoundError `NO_EXPERT`, AbortedError `REROUTED` of a routed layer.
   */
  finish(digest: Uint8Array | undefined): Promise<TargetResponses[]>;
  dispose(): Promise<void>;
}

/** A target with what is resident of its expert. */
export interface ProjectionTarget extends WorkerTarget {
  readonly projector: Projector;
  /** Absent if the expert was not calibrated. */
  readonly tree: Tree | undefined;
}

/** How a model is projected. */
export interface ProjectionOptions {
  readonly saved: ModelState | undefined;
  /** Whether one of the targets is to be chosen. */
  readonly isRouted: boolean;
  readonly kernel: SketchKernel;
}

/** Opens the projection of one model, anew or from a saved state. */
export async function openModelProjection(
  tensors: readonly StoredMatrix[],
  targets: readonly ProjectionTarget[],
  { saved, isRouted, kernel }: ProjectionOptions,
): Promise<ModelProjection> {
  const times = { digestMs: 0, projectMs: 0 };
  const sketches = createTargetSketches(targets, kernel);
  const sketch = sketches[0]?.layer;
  const candidates = sketches.flatMap(({ target, tree }) => ({
    target,
    tree,
    spaceId: targets[target]?.spaceId ?? "",
  }));
  const choice = isRouted && sketch !== undefined ? createTargetChoice(candidates, sketch) : undefined;
  const lanes = createTargetLanes(targets, choice === undefined ? undefined : () => choice.possible);
  if (saved !== undefined) {
    await lanes.restore(saved.targets.slice(0, targets.length));
    const rows = tensors.map((matrix, index) => Math.floor((saved.tensors[index]?.offset ?? 0) / rowBytes(matrix)));
    for (const { layer, tensorIndex, isFirst } of sketches) {
      if (isFirst) layer.restore(saved.targets[targets.length + tensorIndex] ?? [], rows[tensorIndex] ?? 0);
    }
    choice?.keepOnly(saved.targets.flatMap((parts, target) => (parts.length > 0 ? [target] : [])));
    choice?.look();
  }
  const readers: RangeReader[] = tensors.map((matrix, tensorIndex) =>
    createRangeReader(
      matrix,
      async (block) => {
        for (const { layer, roles } of sketches.filter(({ isFirst }) => isFirst)) {
          for (const { role, matrix: used } of roles.filter((use) => use.tensorIndex === tensorIndex)) {
            layer.add(role, sliceColumns(block, used.columns));
          }
        }
        await lanes.add(tensorIndex, block);
        if (choice === undefined || choice.isDecided) return;
        choice.look();
        if (choice.isDecided) await lanes.settle();
      },
      times,
      saved?.tensors[tensorIndex],
    ),
  );

  return {
    times,
    get rowsProjected() {
      return readers.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    },
    uses: () => mergeUses(lanes.uses()),
    accept: (tensorIndex, bytes, onSegment) => (readers[tensorIndex] as RangeReader).accept(bytes, onSegment),
    state: async () => {
      await lanes.settle();
      const grown: StatePart[][] = tensors.map((_, tensorIndex) =>
        sketches.flatMap((one) => (one.isFirst && one.tensorIndex === tensorIndex ? one.layer.state() : [])),
      );
      return {
        tensors: readers.map(({ offset, segmentDigests }) => ({ offset, segmentDigests })),
        targets: [...(await lanes.state()), ...(sketches.length === 0 ? [] : grown)],
      };
    },
    finish: async (digest) => {
      const incomplete = readers.findIndex(({ offset, length }) => offset !== length);
      if (incomplete >= 0) throw tooShort(tensors[incomplete] as StoredMatrix, readers[incomplete] as RangeReader);
      if (digest !== undefined) assertDigest(readers, digest);
      if (choice !== undefined) {
        const { target, match } = choice.conclude();
        return [{ target, responses: await lanes.finish(target), match }];
      }
      const finished: TargetResponses[] = [];
      for (const target of targets.keys()) {
        const own = sketches.find((one) => one.target === target);
        finished.push({ target, responses: await lanes.finish(target), match: own && toMatch(own) });
      }
      return finished;
    },
    dispose: () => lanes.dispose(),
  };
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
