import { join } from "node:path";
import { Random } from "../../src/linalg/random.js";
import { writeTree } from "../../src/search/calibrate-expert.js";
import { fitCentroid } from "../../src/trees/fit-centroid.js";
import type { SketchShape } from "../../src/trees/sketches/sketch.js";
import { openSketchKernel } from "../../src/trees/sketches/sketch-kernel.js";
import { createExpertParameters, writeExpert } from "./expert-folder.js";

/** Weights of a layer, rows × columns. */
export type LayerWeights = Float32Array<ArrayBuffer>;

/** A base, and models fine-tuned from it, as far as weights can tell: each number moved a little. */
export interface TestTree {
  readonly name: string;
  readonly base: LayerWeights;
  grow(random: Random): LayerWeights;
}

/** A tree whose models lie `deviation` from the base, in half and half again of that. */
export function createTestTree(name: string, base: LayerWeights, deviation: number): TestTree {
  return {
    name,
    base,
    grow: (random) => {
      const change = random.spread(base.length, deviation * (0.5 + random.next()));
      return base.map((value, i) => value + (change[i] as number));
    },
  };
}

/** Weights that have nothing to do with any others. */
export function toFreshWeights({ rowCount, columnCount }: SketchShape, random: Random): LayerWeights {
  return new Float32Array(random.spread(rowCount * columnCount, 1));
}

/** Writes an expert of random parameters for each tree, calibrated on models of it. The layer is `m.fc`, dense. */
export async function writeTreeExperts(
  root: string,
  shape: SketchShape,
  trees: readonly (Pick<TestTree, "name" | "grow"> & { readonly parent?: string })[],
  models = 30,
): Promise<void> {
  const kernel = await openSketchKernel();
  for (const [index, { name, parent, grow }] of trees.entries()) {
    const { rowCount: rows, columnCount: columns } = shape;
    const folder = await writeExpert(join(root, name), createExpertParameters({ rows, columns, seed: 50 + index }));
    const random = new Random(900 + index);
    const sketches = Array.from({ length: models }, () => {
      const sketch = kernel.create(shape);
      sketch.add({ bytes: new Uint8Array(grow(random).buffer), dtype: "F32", rowBegin: 0, rowCount: rows });
      return sketch.values;
    });
    const centroid = fitCentroid(shape, sketches);
    await writeTree(folder, { name, ...(parent !== undefined && { parent }), models, centroid });
  }
}
