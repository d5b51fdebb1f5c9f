import type { ComputeBackend } from "../compute/compute-backend.js";
import { InvalidInputError, PreconditionError } from "../errors/probestream-error.js";
import type { Checkpoint } from "../experts/checkpoint.js";
import { type Expert, type LoadedExpert, loadExpert, readExpertManifest } from "../experts/expert.js";
import { type ParsedProbes, parseProbes } from "../experts/expert-probes.js";
import { createHead, type Head } from "../experts/head.js";
import { readProbesFile } from "../experts/probes-file.js";
import type { Projector } from "../projection/accumulator.js";
import { createProbexProjector } from "../projection/probex-projector.js";
import type { Tree } from "../trees/tree.js";
import { readTree, toTreeKey } from "../trees/tree-file.js";
import type { LayerSpec } from "../weights/layer.js";
import { collectGarbage } from "./collect-garbage.js";

/** An expert whose matrices are resident on a backend. */
export interface ResidentExpert {
  readonly projector: Projector;
  /** Absent where its probes alone were loaded. */
  readonly head: Head | undefined;
  /**
   * The tree that the expert serves, undefined if it was not calibrated; read anew where the key (see `toTreeKey`) is
   * another than when it was last read.
   */
  tree(key: string): Promise<Tree | undefined>;
  dispose(): Promise<void>;
}

/**
 * Loads an expert folder onto a backend.
 *
 * Memory: at its peak what `loadingBytes` says; what is left over of the first half is collected before the second.
 *
 * @throws PreconditionError `PLAN_STALE` if the folder no longer holds the expert that was planned for.
 */
export async function loadResidentExpert(
  backend: ComputeBackend,
  folder: string,
  spaceId: string,
): Promise<ResidentExpert> {
  const { expert, checkpoint } = await loadPlanned(folder, spaceId);
  // A backend that takes over from one that failed has to load them too: kept for that, they would cost as much again.
  const again = async (): Promise<Checkpoint> => (await loadPlanned(folder, spaceId)).checkpoint;
  let known: { readonly key: string; readonly tree: Tree | undefined } = { key: "", tree: undefined };
  const head = await createHead(backend, checkpoint, again);
  collectGarbage();
  const projector = await createProbexProjector(backend, expert.layer, checkpoint, again).catch(
    async (error: unknown) => {
      // Its memory is given back, so that it must not stay on the device.
      await head.dispose();
      throw error;
    },
  );
  return {
    projector,
    head,
    tree: async (key) => {
      if (key === "") return undefined;
      if (key !== known.key) {
        const { extra } = await readExpertManifest(folder);
        known = { key: toTreeKey(extra), tree: await readFittingTree(expert, extra) };
      }
      return known.tree;
    },
    dispose: async () => {
      await projector.dispose().finally(() => head.dispose());
    },
  };
}

/**
 * Loads probes from their file onto a backend.
 *
 * Memory: U and V about five times while they are loaded.
 *
 * @throws CorruptDataError `CORRUPT` if the file is damaged, PreconditionError `PLAN_STALE` if it holds another expert's.
 */
export async function loadResidentProbes(
  backend: ComputeBackend,
  file: string,
  spaceId: string,
): Promise<ResidentExpert> {
  const load = async (): Promise<ParsedProbes & Pick<Expert, "layer">> => {
    const probes = await readProbesFile(file);
    assertPlanned(probes.name, probes.spaceId, spaceId);
    return { ...parseProbes(probes), layer: probes.layer };
  };
  const { layer, ...probes } = await load();
  const projector = await createProbexProjector(backend, layer, probes, load);
  collectGarbage();
  return { projector, head: undefined, tree: async () => undefined, dispose: () => projector.dispose() };
}

async function readFittingTree(expert: Expert, extra: Expert["extra"]): Promise<Tree | undefined> {
  const tree = await readTree(expert.folder, extra);
  if (tree !== undefined) assertTreeFits(tree, expert.layer, expert.representationWidth, expert.folder);
  return tree;
}

/** A tree is of the matrix as it is stored, and of the expert's own representations. */
function assertTreeFits(
  { centroid, gaussian }: Tree,
  { layout, shape }: Pick<LayerSpec, "layout" | "shape">,
  representationWidth: number,
  folder: string,
): void {
  const [rows, columns] = layout === "transposed" ? [shape.columns, shape.rows] : [shape.rows, shape.columns];
  const { rowCount = rows, columnCount = columns } = centroid?.shape ?? {};
  const width = gaussian?.mean.length ?? representationWidth;
  if (rowCount === rows && columnCount === columns && width === representationWidth) return;
  const message = `the tree in ${folder} is of ${rowCount} × ${columnCount} layers and representations of ${width}, the expert of ${rows} × ${columns} and ${representationWidth}; measure it anew with \`probestream experts calibrate\``;
  throw new InvalidInputError("SHAPE_MISMATCH", message, { folder });
}

async function loadPlanned(folder: string, spaceId: string): Promise<LoadedExpert> {
  const loaded = await loadExpert(folder);
  assertPlanned(loaded.expert.name, loaded.expert.spaceId, spaceId);
  return loaded;
}

/** Guards that what was read is the expert that was planned for. Throws PreconditionError `PLAN_STALE`. */
export function assertPlanned(name: string, found: string, expected: string): void {
  if (found === expected) return;
  throw new PreconditionError(
    "PLAN_STALE",
    `the expert "${name}" changed from ${expected.slice(0, 12)} to ${found.slice(0, 12)}; ask for a new plan`,
    { expected, found },
  );
}
