import { InternalError, InvalidInputError } from "../errors/probestream-error.js";
import type { StatePart } from "../projection/accumulator.js";
import type { StoredMatrix } from "../projection/stored-matrix.js";
import type { SketchKernel } from "../trees/sketches/sketch-kernel.js";
import type { ModelSums } from "./embed-messages.js";
import { finishTargets, spaceIdOf } from "./finish-targets.js";
import type { ModelProjection, ProjectionTarget } from "./model-projection.js";
import { createTargetChoice } from "./target-choice.js";
import { createTargetGauges, type TargetGauge } from "./target-gauges.js";
import { createTargetLanes } from "./target-lanes.js";

/**
 * Opens the projection of a model whose layer was projected elsewhere, by a stranger perhaps: it can only be finished. A choice
 * among trees comes out as if the rows had come here.
 *
 * @throws InvalidInputError as `Accumulator.adopt` and `assertSketch`, `FIELD_INVALID` for a routed model without the sketch
 * that decides; NotFoundError `NO_EXPERT`, AbortedError `REROUTED` of a routed layer.
 */
export async function openSummedProjection(
  tensors: readonly StoredMatrix[],
  targets: readonly ProjectionTarget[],
  sums: ModelSums,
  { isRouted, kernel }: { readonly isRouted: boolean; readonly kernel: SketchKernel },
): Promise<ModelProjection> {
  const gauged = adoptSketches(createTargetGauges(targets, kernel), targets, sums, isRouted);
  const lanes = createTargetLanes(targets, undefined);
  const layer = gauged[0]?.dense?.layer;
  const candidates = gauged.flatMap(({ target, dense }) =>
    dense === undefined ? [] : [{ target, tree: dense.tree, spaceId: spaceIdOf(targets, target) }],
  );
  const choice = isRouted && layer !== undefined ? createTargetChoice(candidates, layer, () => true) : undefined;
  try {
    await lanes.adopt(sums.targets.map(({ state }) => state));
    choice?.look();
  } catch (error) {
    await lanes.dispose();
    throw error;
  }
  const noBytes = (): never => {
    throw new InternalError("INTERNAL", "bytes came for a model that was projected elsewhere");
  };
  return {
    times: { digestMs: 0, projectMs: 0 },
    rowsProjected: 0,
    uses: () => [],
    accept: noBytes,
    state: noBytes,
    sums: noBytes,
    finish: () => finishTargets({ tensors, targets, lanes, gauged, choice, isRouted }),
    digest: () => Buffer.from(sums.weightsHash, "hex"),
    dispose: () => lanes.dispose(),
  };
}

/** Hands sketches to the gauges that there are sketches for, and gives these. */
function adoptSketches(
  gauged: readonly TargetGauge[],
  targets: readonly ProjectionTarget[],
  { targets: states, sketches }: ModelSums,
  isRouted: boolean,
): TargetGauge[] {
  const adopted = new Map<TargetGauge["gauge"], StatePart>();
  return gauged.filter(({ target, gauge }) => {
    const index = states[target]?.sketch;
    const sketch = index === undefined ? undefined : sketches[index];
    if (sketch === undefined) {
      if (!isRouted) return false;
      const message = `the target ${spaceIdOf(targets, target)} of a routed model has no sketch, which decides between the trees; send the one that the plan asks for, or name one expert`;
      throw new InvalidInputError("FIELD_INVALID", message, { spaceId: spaceIdOf(targets, target) });
    }
    // Targets that read the same rows share a gauge: it takes one sketch.
    const taken = adopted.get(gauge);
    if (taken === undefined) {
      gauge.adopt(sketch);
      adopted.set(gauge, sketch);
    } else if (taken !== sketch) {
      const message = "targets that read the same rows have different sketches; send one for all of them";
      throw new InvalidInputError("FIELD_INVALID", message);
    }
    return true;
  });
}
