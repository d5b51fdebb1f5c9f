import { createHash } from "node:crypto";
import type { BackendUse } from "../compute/compute-backend.js";
import { CorruptDataError, InvalidInputError } from "../errors/probestream-error.js";
import type { Projector } from "../projection/accumulator.js";
import { createRangeReader, type RangeReader } from "../projection/range-reader.js";
import { sliceColumns } from "../projection/slice-columns.js";
import { rowBytes, type StoredMatrix } from "../projection/stored-matrix.js";
import type { SketchKernel } from "../trees/sketches/sketch-kernel.js";
import type { Tree } from "../trees/tree.js";
import type { ModelState, ModelSums, WorkerTarget } from "./embed-messages.js";
import { finishTargets, spaceIdOf, type TargetResponses } from "./finish-targets.js";
import { createSketchGauges } from "./sketch-gauges.js";
import { createTargetChoice, type TargetChoice } from "./target-choice.js";
import { createTargetGauges } from "./target-gauges.js";
import { createTargetLanes, type TargetLanes } from "./target-lanes.js";

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
  /**
   * Checks the digest as {@link finish} does, and gives what another process needs to finish: of a projection that was opened
   * for that.
   */
  sums(digest: Uint8Array | undefined): Promise<ModelSums>;
  /** SHA-256 over the digests of all segments taken in, 32 bytes: of a complete layer, what its footer may carry. */
  digest(): Uint8Array;
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
  /** Whether another process is to finish: then targets have no trees here, and sketches that are asked for. */
  readonly wantsSums?: boolean;
}

/** Opens the projection of one model, anew or from a saved state. */
export async function openModelProjection(
  tensors: readonly StoredMatrix[],
  targets: readonly ProjectionTarget[],
  { saved, isRouted, kernel, wantsSums = false }: ProjectionOptions,
): Promise<ModelProjection> {
  const times = { digestMs: 0, projectMs: 0 };
  const gauged = createTargetGauges(targets, kernel);
  const asked = wantsSums ? createSketchGauges(targets, kernel) : gauged.map(({ gauge }) => gauge);
  const gauges = [...new Set(asked.flatMap((gauge) => gauge ?? []))];
  const layer = gauged[0]?.dense?.layer;
  const candidates = gauged.flatMap(({ target, dense }) =>
    dense === undefined ? [] : [{ target, tree: dense.tree, spaceId: spaceIdOf(targets, target) }],
  );
  const isChoice = isRouted && layer !== undefined;
  const lanes: TargetLanes = createTargetLanes(targets, isChoice ? () => choice?.possible ?? [] : undefined);
  const choice: TargetChoice | undefined = isChoice
    ? createTargetChoice(candidates, layer, (target) => lanes.canServe(target))
    : undefined;
  const restore = async (saved: ModelState): Promise<void> => {
    await lanes.restore(saved.targets.slice(0, targets.length));
    const rows = tensors.map((matrix, index) => Math.floor((saved.tensors[index]?.offset ?? 0) / rowBytes(matrix)));
    for (const [index, gauge] of gauges.entries()) {
      const weight = gauge.uses.find(({ role }) => role === "weight")?.tensorIndex ?? 0;
      gauge.restore(saved.targets[targets.length + index] ?? [], rows[weight] ?? 0);
    }
    choice?.look();
  };
  try {
    if (saved !== undefined) await restore(saved);
  } catch (error) {
    await lanes.dispose();
    throw error;
  }
  const readers: RangeReader[] = tensors.map((matrix, tensorIndex) =>
    createRangeReader(
      matrix,
      async (block) => {
        for (const gauge of gauges) {
          for (const { role, matrix: used } of gauge.uses.filter((use) => use.tensorIndex === tensorIndex)) {
            gauge.add(role, sliceColumns(block, used.columns));
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
  const assertWhole = (digest: Uint8Array | undefined): void => {
    const incomplete = readers.findIndex(({ offset, length }) => offset !== length);
    if (incomplete >= 0) throw tooShort(tensors[incomplete] as StoredMatrix, readers[incomplete] as RangeReader);
    if (digest !== undefined) assertDigest(toDigest(readers), digest);
  };

  return {
    times,
    get rowsProjected() {
      return readers.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    },
    uses: () => mergeUses(lanes.uses()),
    accept: (tensorIndex, bytes, onSegment) => (readers[tensorIndex] as RangeReader).accept(bytes, onSegment),
    state: async () => {
      await lanes.settle();
      return {
        tensors: readers.map(({ offset, segmentDigests }) => ({ offset, segmentDigests })),
        targets: [...(await lanes.state()), ...gauges.map((gauge) => gauge.state())],
      };
    },
    finish: async (digest) => {
      assertWhole(digest);
      return finishTargets({ tensors, targets, lanes, gauged, choice, isRouted });
    },
    sums: async (digest) => {
      assertWhole(digest);
      const states: ModelSums["targets"][number][] = [];
      for (const target of targets.keys()) {
        const gauge = asked[target];
        states.push({ state: await lanes.total(target), sketch: gauge && gauges.indexOf(gauge) });
      }
      const weightsHash = toDigest(readers).toString("hex");
      return { targets: states, sketches: gauges.map((gauge) => gauge.total()), weightsHash };
    },
    digest: () => toDigest(readers),
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

function toDigest(readers: readonly RangeReader[]): Buffer {
  const hash = createHash("sha256");
  for (const { segmentDigests } of readers) hash.update(segmentDigests);
  return hash.digest();
}

function assertDigest(found: Buffer, digest: Uint8Array): void {
  if (found.equals(digest)) return;
  throw new CorruptDataError(
    "DIGEST_MISMATCH",
    `the bytes that arrived have digest ${found.toString("hex")}, the footer says ${Buffer.from(digest).toString("hex")}: they were damaged on the way, or the file changed during the upload; upload it again`,
    { found: found.toString("hex"), expected: Buffer.from(digest).toString("hex") },
  );
}
