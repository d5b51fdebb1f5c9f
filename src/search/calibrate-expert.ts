import { InvalidInputError, ProbestreamError } from "../errors/probestream-error.js";
import { type Catalogue, openCatalogue } from "../experts/catalogue.js";
import { describeExpert } from "../experts/expert.js";
import { updateManifest } from "../experts/update-manifest.js";
import { fitCentroid } from "../trees/fit-centroid.js";
import { fitMoments, toMomentsDistance } from "../trees/fit-moments.js";
import { fitTreeGaussian } from "../trees/fit-tree-gaussian.js";
import type { SketchShape } from "../trees/sketches/sketch.js";
import { MAX_SKETCH_BLOCKS } from "../trees/sketches/sketch-edges.js";
import { sketchModel } from "../trees/sketches/sketch-model.js";
import { squaredDistance } from "../trees/squared-distance.js";
import { type Tree, toRadius } from "../trees/tree.js";
import { toTreeEntry, treeFileName } from "../trees/tree-file.js";
import type { LayerSpec } from "../weights/layer.js";
import { mapConcurrently } from "../weights/map-concurrently.js";
import { openModel } from "../weights/model-file.js";
import { embedFiles } from "./embed-files.js";
import { startEmbedder } from "./embedder.js";
import { createLocalPort } from "./local-port.js";

/** Options of {@link calibrateExpert}. */
export interface CalibrateOptions {
  /** What the tree is called. */
  readonly name: string;
  /** Name of the tree that it grew from. */
  readonly parent?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  /** Hears of each model that the expert can read, in the order of the locations. */
  readonly onRepresentation?: (location: string, representation: Float32Array) => void;
  /** Hears of models that lie beyond what the tree then accepts: they may be of another. */
  readonly onStray?: (location: string) => void;
  /** Hears of models that cannot be read; they are left out. */
  readonly onUnusable?: (location: string, error: ProbestreamError) => void;
}

/** Fewer models than this do not tell how far a tree reaches. */
const fewestModels = 10;
const sketchesAtOnce = 4;

/**
 * Measures the Model Tree that an expert serves on models of it, and writes what is needed to tell others from them into
 * the expert folder: the mean layer's sketch and how far models lie from it, the Gaussian of their representations and how
 * far they reach in it. The space id stays as it is.
 *
 * Memory: 32 KiB per model, and its representation.
 *
 * @throws InvalidInputError `FIELD_INVALID` if fewer than ten of the models can be read, and what reading the expert throws.
 */
export async function calibrateExpert(
  folder: string,
  locations: readonly string[],
  { name, parent, signal, onProgress, onRepresentation, onUnusable, onStray }: CalibrateOptions,
): Promise<Tree> {
  const { layer, representationWidth, spaceId } = await describeExpert(folder, signal);
  const representations = new Map<number, Float32Array>();
  const port = createLocalPort(
    await startEmbedder({ catalogue: withoutTrees(openCatalogue(folder)), backend: "onnx" }),
  );
  try {
    for await (const { index, location, outcome } of embedFiles(locations, port, { experts: [spaceId], signal })) {
      if (outcome instanceof ProbestreamError) onUnusable?.(location, outcome);
      else representations.set(index, outcome.embeddings[0]?.representation ?? new Float32Array(0));
      onProgress?.(representations.size, locations.length);
    }
  } finally {
    await port.close();
  }
  const usable = locations.flatMap((location, index) => {
    const representation = representations.get(index);
    return representation === undefined ? [] : [{ location, representation }];
  });
  if (usable.length < fewestModels) {
    const message = `${usable.length} of ${locations.length} models can be read by the expert; a tree is measured on at least ${fewestModels}`;
    throw new InvalidInputError("FIELD_INVALID", message, { found: usable.length, fewest: fewestModels });
  }
  const sketches = await mapConcurrently(usable, sketchesAtOnce, async ({ location }) => {
    const model = await openModel(location, { signal });
    try {
      const { values } = await sketchModel(model, [layer], { blocks: MAX_SKETCH_BLOCKS, signal });
      return Float32Array.from(values);
    } catch (error) {
      // A LoRA layer that is 0 says nothing of its tree.
      if (error instanceof ProbestreamError && error.reason === "FIELD_INVALID") return undefined;
      throw error;
    } finally {
      await model.close();
    }
  });
  const values = new Float32Array(usable.length * representationWidth);
  for (const [index, { representation }] of usable.entries()) values.set(representation, index * representationWidth);
  const present = sketches.filter((sketch) => sketch !== undefined);
  const tree: Tree = {
    name,
    ...(parent !== undefined && { parent }),
    models: usable.length,
    ...(layer.kind === "dense" && { centroid: fitCentroid(toStoredShape(layer), present) }),
    ...(layer.kind === "lora" && present.length > 1 && { moments: fitMoments(present) }),
    gaussian: fitTreeGaussian({ width: representationWidth, values }),
  };
  for (const [index, sketch] of sketches.entries()) {
    const { location } = usable[index] ?? {};
    if (location !== undefined && sketch !== undefined && isBeyond(tree, sketch)) onStray?.(location);
  }
  await writeTree(folder, tree);
  for (const { location, representation } of usable) onRepresentation?.(location, representation);
  return tree;
}

/** A catalogue whose experts know no tree: one that is damaged must not keep another from being measured. */
function withoutTrees(catalogue: Catalogue): Catalogue {
  return { ...catalogue, get: async (reference) => ({ ...(await catalogue.get(reference)), extra: {} }) };
}

function isBeyond({ centroid, moments }: Tree, sketch: Float32Array): boolean {
  const values = Float64Array.from(sketch);
  if (centroid !== undefined) {
    return Math.sqrt(squaredDistance(values, centroid.values, values.length)) > toRadius(centroid);
  }
  return moments !== undefined && toMomentsDistance(values, moments.values) > moments.reach;
}

/** A layer's matrix as files hold it. */
function toStoredShape({ layout, shape: { rows, columns } }: LayerSpec): SketchShape {
  return layout === "transposed" ? { rowCount: columns, columnCount: rows } : { rowCount: rows, columnCount: columns };
}

/** Writes a tree into an expert folder: the file first, then what names it; each appears whole. */
export async function writeTree(folder: string, tree: Tree): Promise<void> {
  const { keys, bytes } = toTreeEntry(tree);
  await updateManifest(folder, { [treeFileName]: bytes }, (manifest) => {
    // Scores are calibrated by themselves: a tree that is measured anew leaves them.
    const { scores } = { scores: undefined, ...(manifest["calibration"] as object | undefined) };
    const calibration = { ...keys.calibration, ...(scores !== undefined && { scores }) };
    return { ...manifest, tree: keys.tree, calibration };
  });
}
